// What is shown is kept in the address after `#`, so that a view can be passed on and the back button works.

const body = document.querySelector("#clips tbody");
const rows = [...body.rows]; // in the order of the manifest
const keys = [...document.querySelectorAll("[data-sort]")].map((button) => button.dataset.sort);
const tracks = new Map(); // video -> clip -> what videos/<video>/tracks.js says

function cell(row, key) { return row.cells[keys.indexOf(key)]; }
function nameOf(row) { return cell(row, "video").textContent + "/" + cell(row, "clip").textContent; }

// --- the address ---

function readState() { return Object.fromEntries(new URLSearchParams(location.hash.slice(1).replaceAll("+", "%2B"))); }

function addressWith(changes) {
  const parts = Object.entries({ ...readState(), ...changes }).filter(([, value]) => value);
  return "#" + parts.map(([key, value]) => key + "=" + encodeURIComponent(value)).join("&");
}

// --- the table ---

const collator = new Intl.Collator("en", { numeric: true });

function compare(first, second, key, sign) {
  const [a, b] = [cell(first, key), cell(second, key)];
  if (a.dataset.value === undefined) return sign * collator.compare(a.textContent, b.textContent);
  const [x, y] = [a.dataset.value, b.dataset.value];
  if (!x || !y) return Number(!x) - Number(!y); // what is unknown comes last, either way
  return sign * (Number(x) - Number(y));
}

function matches(row, state) {
  const flags = row.dataset.flags ? row.dataset.flags.split(";") : [];
  const wanted = state.flag || "";
  const flagged = !wanted || (wanted === "any" ? flags.length > 0 : wanted === "none" ? !flags.length : flags.includes(wanted));
  const name = cell(row, "video").textContent + "/" + cell(row, "clip").textContent; // as messages call a clip
  return flagged && (name + " " + row.textContent).toLowerCase().includes((state.search || "").toLowerCase());
}

function show() {
  const state = readState();
  body.querySelector(".details")?.remove();
  const sorted = keys.includes(state.sort)
    ? [...rows].sort((first, second) => compare(first, second, state.sort, state.descending ? -1 : 1)) : rows;
  if (sorted.some((row, place) => row !== body.rows[place])) body.append(...sorted);
  let shown = 0;
  for (const row of rows) {
    row.hidden = !matches(row, state);
    shown += !row.hidden;
    row.classList.remove("open");
  }
  document.getElementById("count").textContent = shown + " of " + rows.length + " clips";
  for (const button of document.querySelectorAll("[data-flag]"))
    button.setAttribute("aria-pressed", button.dataset.flag === (state.flag || ""));
  for (const button of document.querySelectorAll("[data-sort]")) {
    const order = button.dataset.sort !== state.sort ? "none" : state.descending ? "descending" : "ascending";
    button.closest("th").setAttribute("aria-sort", order);
  }
  const search = document.getElementById("search");
  if (search.value !== (state.search || "")) search.value = state.search || "";
  const opened = rows.find((row) => !row.hidden && nameOf(row) === state.clip);
  if (opened) open(opened);
}

// --- one clip ---

function open(row) {
  const video = cell(row, "video").textContent;
  row.classList.add("open");
  const details = make("tr", { class: "details" }, make("td", { colspan: keys.length }));
  row.after(details);
  const { top, bottom } = row.getBoundingClientRect();
  if (top < 0 || bottom > innerHeight) row.scrollIntoView();
  const fill = () => details.isConnected && details.firstChild.replaceChildren(...contentOf(row));
  if (tracks.has(video)) return fill();
  details.firstChild.append(make("p", { class: "note" }, "loading ..."));
  const script = make("script", { src: folderOf(video) + "tracks.js" });
  script.onload = fill;
  script.onerror = () => details.firstChild.replaceChildren(
    make("p", { class: "message" }, "videos/" + video + "/tracks.js is missing beside this page; make the page again"));
  document.head.append(script);
}

function folderOf(video) { return "videos/" + encodeURIComponent(video) + "/"; }

function showTracks(video, clips) { tracks.set(video, new Map(clips)); } // called by tracks.js

function contentOf(row) {
  const video = cell(row, "video").textContent, clip = cell(row, "clip").textContent;
  const found = tracks.get(video).get(clip);
  const parts = [];
  if (found.sheet.length) {
    const captions = found.sheet.map((tile) => {
      const seen = { undefined: "", true: ", confidence " + tile.confidence?.toFixed(2), false: ", no face" }[tile.success];
      return make("span", { class: tile.success ? "" : "lost" }, tile.time.toFixed(2) + " s" + seen);
    });
    const picture = make("img", { src: folderOf(video) + encodeURIComponent(clip) + ".webp", alt: "contact sheet of clip " + clip });
    parts.push(make("figure", { class: "sheet" }, picture, make("div", {}, ...captions)), keyOfSheet());
  } else parts.push(make("p", { class: "note" }, "This clip has no picture."));
  const panels = found.panels.map((panel) => drawPanel(panel, found));
  if (panels.length) parts.push(make("div", { class: "panels" }, ...panels.map((panel) => panel.figure)));
  else parts.push(make("p", { class: "note" }, "Nothing was measured on this clip."));
  const pointAt = (time, pointed, y) => panels.forEach((panel) => panel.pointAt(time, panel === pointed ? y : null));
  for (const panel of panels) {
    panel.picture.addEventListener("mousemove", (event) => pointAt(...panel.placeOf(event)));
    panel.picture.addEventListener("mouseleave", () => pointAt(null));
  }
  for (const face of found.neutral_faces || []) parts.push(make("p", { class: "note" }, sayNeutral(face)));
  const text = cell(row, "text").textContent;
  const said = found.reasons ? colouredWords(text, found.reasons) : [text];
  parts.push(text ? make("blockquote", {}, ...said) : make("p", { class: "note" }, "This clip has no transcript."));
  if (found.reasons) parts.unshift(drawReasons(found.reasons), parts.pop());
  return parts;
}

function sayNeutral(face) {
  const shown = Object.entries(face.units).map(([name, value]) => name + " " + value.toFixed(1)).join(", ");
  return `Action units of person ${face.person} count from their neutral face, taken from ${face.frames} frames of the video.`
    + ` By that of the population it shows ${shown || "no action unit of .5 or more"}.`;
}

function keyOfSheet() {
  const marks = [["#ffd200", "box"], ["#0f0", "68 points"], ["#00dcff", "eye landmarks"], ["#f0f", "gaze"],
    ["#ff3c3c", "head: right"], ["#96dc3c", "down"], ["#4678ff", "forward"]];
  const names = marks.flatMap(([colour, name]) => [" ", make("span", {}, make("i", { style: "background:" + colour }), name)]);
  const note = "Of each part of the clip the frame with the lowest confidence; \u25bc marks it in the curves, and red is where no face was found.";
  return make("p", { class: "key" }, note, ...names);
}

// --- what the reader does ---

for (const button of document.querySelectorAll("[data-flag]"))
  button.addEventListener("click", () => (location.hash = addressWith({ flag: button.dataset.flag })));
for (const button of document.querySelectorAll("[data-sort]"))
  button.addEventListener("click", () => { // first rising, then falling, then the order of the manifest
    const state = readState(), same = state.sort === button.dataset.sort;
    const last = same && state.descending;
    location.hash = addressWith({ sort: last ? "" : button.dataset.sort, descending: same && !last ? "1" : "" });
  });
document.getElementById("search").addEventListener("input", (event) =>
  location.replace(addressWith({ search: event.target.value }))); // not every letter is a step back
body.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link) return;
  event.preventDefault();
  const name = nameOf(link.closest("tr"));
  location.hash = addressWith({ clip: readState().clip === name ? "" : name });
});
addEventListener("hashchange", show);
show();
