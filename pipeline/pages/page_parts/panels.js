"use strict";
// The curves of a clip as SVG, from the panels that pipeline/pages/qc_tracks.py describes.

const COLOURS = ["#0072b2", "#d55e00", "#009e73"]; // of Okabe and Ito: told apart by everybody
const LEFT = 46, WIDTH = 660, RIGHT = 6, TOP = 5, BOTTOM = 18; // of a panel, in its own pixels
const LINES_HEIGHT = 96, ROW_HEIGHT = 12;

function make(name, attributes, ...children) { return fillIn(document.createElement(name), attributes, children); }
function svg(name, attributes, ...children) {
  return fillIn(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}
function fillIn(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function drawPanel(panel, clip) {
  const names = Object.keys(panel.series), isRows = panel.kind === "rows";
  const height = isRows ? names.length * ROW_HEIGHT : LINES_HEIGHT;
  const seconds = Math.max(clip.seconds, 1e-3);
  const x = (time) => LEFT + (WIDTH - LEFT - RIGHT) * time / seconds;
  const picture = svg("svg", { viewBox: [0, 0, WIDTH, TOP + height + BOTTOM].join(" "), role: "img", "aria-label": panel.title });
  const bottom = TOP + height;
  for (const time of ticks(0, seconds, 8)) {
    picture.append(svg("line", { x1: x(time), x2: x(time), y1: TOP, y2: bottom, stroke: "#e3e6ea" }));
    const anchor = x(time) > WIDTH - 20 ? "end" : "middle";
    picture.append(svg("text", { x: x(time), y: bottom + 13, "text-anchor": anchor }, time + " s"));
  }
  const outputs = isRows ? drawRows(picture, panel, x, names) : drawLines(picture, panel, x, names);
  for (const [start, end] of clip.without_face)
    picture.append(svg("rect", { x: x(start), y: TOP, width: x(end) - x(start), height, fill: "#d33", "fill-opacity": 0.13 }));
  for (const tile of clip.sheet)
    picture.append(svg("path", { d: `M${x(tile.time) - 4} ${TOP - 5}h8l-4 6z`, fill: "#8a94a0" }));
  picture.append(svg("rect", { x: LEFT, y: TOP, width: WIDTH - LEFT - RIGHT, height, fill: "none", stroke: "#b9c0c8" }));
  const cursor = svg("line", { y1: TOP, y2: bottom, stroke: "#1d2630", visibility: "hidden" });
  picture.append(cursor);
  const title = make("b", {}, panel.title + " ", make("span", {}, "(" + panel.unit + ")"));
  const figure = make("figure", { class: "panel" }, make("figcaption", {}, title, ...outputs.labels), picture);

  const drawn = { figure, picture };
  drawn.placeOf = (event) => {
    const box = picture.getBoundingClientRect(), scale = WIDTH / box.width;
    const time = ((event.clientX - box.left) * scale - LEFT) / (WIDTH - LEFT - RIGHT) * seconds;
    return [time < 0 || time > seconds ? null : time, drawn, (event.clientY - box.top) * scale];
  };
  drawn.pointAt = (time, y) => {
    cursor.setAttribute("visibility", time === null ? "hidden" : "visible");
    if (time !== null) { cursor.setAttribute("x1", x(time)); cursor.setAttribute("x2", x(time)); }
    outputs.say(time === null ? null : Math.round(time * panel.rate), y, time);
  };
  return drawn;
}

function drawLines(picture, panel, x, names) {
  const values = names.flatMap((name) => panel.series[name]).filter((value) => value !== null);
  let [low, high] = panel.range || [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
  const margin = panel.range ? 0 : Math.max(0.06 * (high - low), (panel.span - (high - low)) / 2);
  [low, high] = [low - margin, high + margin];
  const y = (value) => TOP + LINES_HEIGHT * (high - value) / (high - low);
  for (const value of ticks(low, high, 4)) {
    picture.append(svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value), stroke: value ? "#e3e6ea" : "#aab2bb" }));
    const place = Math.min(Math.max(y(value) + 4, TOP + 8), TOP + LINES_HEIGHT);
    picture.append(svg("text", { x: LEFT - 5, y: place, "text-anchor": "end" }, String(value)));
  }
  const spoken = names.map((name, index) => {
    picture.append(svg("path", {
      d: pathOf(panel.series[name], panel.rate, x, y), fill: "none", stroke: COLOURS[index], "stroke-width": 1.6,
      "stroke-linejoin": "round", "stroke-linecap": "round",
    }));
    return make("output", {});
  });
  const labels = names.map((name, index) => make("span", { style: "color:" + COLOURS[index] }, name + " ", spoken[index]));
  const say = (frame) => names.forEach((name, index) => {
    spoken[index].textContent = frame === null ? "" : panel.series[name][frame] ?? "–";
  });
  return { labels, say };
}

function pathOf(values, rate, x, y) {
  let path = "", drawing = false;
  values.forEach((value, frame) => {
    if (value !== null) path += (drawing ? "L" : "M") + x(frame / rate).toFixed(1) + " " + y(value).toFixed(1);
    // A single value between undefined ones is a dot.
    if (value !== null && !drawing && (values[frame + 1] ?? null) === null) path += "h0.1";
    drawing = value !== null;
  });
  return path;
}

function drawRows(picture, panel, x, names) {
  const [low, high] = panel.range;
  names.forEach((name, index) => {
    const values = panel.series[name], top = TOP + index * ROW_HEIGHT;
    picture.append(svg("text", { x: LEFT - 5, y: top + ROW_HEIGHT - 2.5, "text-anchor": "end" }, name));
    for (let start = 0, end; start < values.length; start = end) { // equal neighbours become one rectangle
      const level = levelOf(values[start], low, high);
      for (end = start + 1; end < values.length && levelOf(values[end], low, high) === level; end++);
      const left = x(start / panel.rate), width = Math.min(x(end / panel.rate), WIDTH - RIGHT) - left;
      if (level) picture.append(svg("rect", { x: left, y: top, width, height: ROW_HEIGHT, fill: colourOf(level) }));
    }
  });
  const pointed = make("output", { style: "min-width:6em" });
  const steps = [1, 3, 5, 7, 9, 11].map((level) => make("span", { style: "background:" + colourOf(level), class: "step" }, ""));
  steps.forEach((step) => (step.style.cssText += ";display:inline-block;width:14px;height:10px"));
  const labels = [pointed, make("span", { class: "note" }, low + " ", ...steps, " " + high)];
  const say = (frame, y) => {
    const name = y === null || frame === null ? undefined : names[Math.floor((y - TOP) / ROW_HEIGHT)];
    pointed.textContent = name ? name + " " + (panel.series[name][frame] ?? "–") : "";
  };
  return { labels, say };
}

// 0 where undefined, else 1 (lowest) to 11 (highest).
function levelOf(value, low, high) { return value === null ? 0 : 1 + Math.round(10 * (value - low) / (high - low)); }
function colourOf(level) {
  const share = (level - 1) / 10; // from almost white to dark blue
  return `hsl(${205 + 20 * share} ${40 + 40 * share}% ${97 - 67 * share}%)`;
}

function ticks(low, high, most) {
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(Number((i * step).toPrecision(6)));
  return found;
}
