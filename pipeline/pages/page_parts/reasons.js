// Why a clip was predicted as it was, from what pipeline/runs/reasons.py says.

const UP = "#0072b2", DOWN = "#d55e00"; // of Okabe and Ito
const NAMED = { text: "text", audio: "voice", vision: "face" };

function signed(value) { return (value < 0 ? "\u2212" : "+") + Math.abs(value).toFixed(3); }

function bar(value, largest) {
  const half = 110, width = half * Math.abs(value) / Math.max(largest, 1e-9);
  return svg("svg", { viewBox: "0 0 220 14", width: 220, height: 14, style: "display:inline-block;width:220px;vertical-align:middle" },
    svg("rect", { x: value < 0 ? half - width : half, y: 2, width, height: 10, fill: value < 0 ? DOWN : UP }),
    svg("line", { x1: half, x2: half, y1: 0, y2: 14, stroke: "#8a94a0" }));
}

function drawReasons(reasons) {
  const names = Object.keys(NAMED), both = [...Object.values(reasons.shapley), ...Object.values(reasons.left_out)];
  const largest = Math.max(...both.map(Math.abs));
  const rows = names.map((name) => make("tr", {}, make("th", { scope: "row" }, NAMED[name]),
    ...[reasons.shapley[name], reasons.left_out[name]].map((value) => make("td", {}, bar(value, largest), " " + signed(value)))));
  const head = make("tr", {}, make("th", {}, ""), make("th", { scope: "col" }, "its share (Shapley value)"),
    make("th", { scope: "col" }, "what it adds to the two others"));
  const said = `${signed(reasons.prediction)} is ${signed(reasons.baseline)}, what is said of a clip without text, voice and face,`
    + " and the three shares.";
  const key = make("p", { class: "key" }, make("span", {}, make("i", { style: "background:" + UP }), "moved it up"), " ",
    make("span", {}, make("i", { style: "background:" + DOWN }), "moved it down"));
  return make("div", { class: "reasons" }, make("p", {}, said), make("table", {}, head, ...rows), key);
}

function colouredWords(text, reasons) {
  const offset = text.length - text.trimStart().length; // the reasons count from the first letter
  const largest = Math.max(1e-9, ...reasons.words.map(([, , change]) => Math.abs(change)));
  const characters = [...text]; // as Python counts them
  const parts = [];
  let place = 0;
  for (const [start, end, change] of reasons.words) {
    parts.push(characters.slice(place, start + offset).join(""));
    const share = Math.round(75 * Math.abs(change) / largest);
    const style = `background:color-mix(in srgb, ${change < 0 ? DOWN : UP} ${share}%, transparent)`;
    parts.push(make("span", { style, title: signed(change) }, characters.slice(start + offset, end + offset).join("")));
    place = end + offset;
  }
  return [...parts, characters.slice(place).join("")];
}
