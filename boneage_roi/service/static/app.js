// The page: images of this session, one of them shown.

import { $, h, chosen } from "./dom.js";
import { t, setLanguage, firstLanguage, language } from "./i18n.js";
import { get, post, setToken, ServiceError } from "./api.js";
import { toCsv, save } from "./csv.js";
import { Viewer } from "./viewer.js";
import { showResult, showRegion, showBone, clearResult } from "./result.js";
import { Layers } from "./layers.js";

const AT_A_TIME = 2;
const INCLUDE = "geometry,distributions,pictures";

const items = [];
let current = null;
let about = { colours: {}, regions: [] };
let growth = null;
let standards = null;
let running = 0;

const viewer = new Viewer({
  onRegion: (box) => {
    const bone = box.name && !box.changed && current?.bones?.find((each) => each.name === box.name);
    if (bone) showBone(current, bone);
    else showRegion(current, box.region, about);
  },
  onPlate: (plate) => showBone(current, plate),
  onBoxes: () => { $("again").classList.add("primary"); $("correct").open = true; },
});
const layers = new Layers(viewer, () => current);

function addFiles(files) {
  for (const file of files) {
    const fields = {
      sex: chosen("sex"), birth_date: $("birth").value, study_date: $("study").value,
      chronological_age: $("birth").value ? "" : $("age").value.trim(), height_cm: $("height").value.trim(),
    };
    items.push({ id: items.length, file, name: file.name, fields, state: "waiting" });
  }
  renderList();
  work();
}

async function work() {
  while (running < AT_A_TIME) {
    const item = items.find((each) => each.state === "waiting");
    if (!item) return;
    running += 1;
    read(item).finally(() => { running -= 1; work(); });
  }
}

async function read(item) {
  item.state = "working";
  item.abort = new AbortController();
  renderList();
  try {
    const boxes = item.sent ? JSON.stringify(item.sent.map(({ region, box, confidence }) => ({ region, box, confidence }))) : "";
    item.asked = { ...item.fields, boxes };
    const answer = await post("/v1/readings", item.file, { ...item.asked, include: INCLUDE }, { signal: item.abort.signal });
    take(item, await answer.json(), "ok");
  } catch (error) {
    if (!items.includes(item)) return;
    if (error instanceof ServiceError) {
      if (error.status === 401) $("token-field").hidden = false;
      take(item, error.problem, error.problem.reasons ? "rejected" : "error");
      item.message = error.message;
      item.reasons = error.problem.reasons;
    } else {
      item.state = "error";
      item.message = t("offline");
      item.record = null;
    }
  }
  renderList();
  if (items.includes(item) && (current === null || current === item || current.state === "error")) await select(item);
}

function take(item, answer, state) {
  const { geometry, pictures, distributions, age_grid: grid, bones, ...record } = answer;
  Object.assign(item, { state, geometry, pictures, distributions, grid, bones, message: "", reasons: null, maps: {}, explained: null });
  item.record = state === "ok" ? record : null;
  item.boxes = geometry ? structuredClone(geometry.boxes) : null;
  if (!item.found && geometry && !item.sent) item.found = structuredClone(geometry.boxes);
}

function stateText(item) {
  if (item.state === "ok") return item.record.flags.length ? t("state.flags", { n: item.record.flags.length }) : t("state.ok");
  return t(`state.${item.state}`);
}

function renderList() {
  const list = $("list");
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.id : null;
  list.replaceChildren(...items.map((item) => h("li", {},
    h("button", { type: "button", class: "item", "aria-current": item === current ? "true" : "false", "data-id": item.id, onclick: () => select(item) },
      h("span", { class: "name" }, item.name),
      h("span", { class: "value" }, item.record ? t("age.words", years(item.record.bone_age_months)) : ""),
      h("span", { class: ["error", "rejected"].includes(item.state) ? "state bad" : "state" }, stateText(item)),
      item.state === "working" ? h("progress", { "aria-label": t("state.working") }) : null,
      item.state === "waiting" ? h("progress", { value: 0, "aria-label": t("state.waiting") }) : null,
    ))));
  if (focused !== null) list.querySelector(`[data-id="${focused}"]`)?.focus();
  $("list-empty").hidden = items.length > 0;
  $("clear").disabled = items.length === 0;
  $("csv").disabled = !items.some((item) => ["ok", "rejected", "error"].includes(item.state));
}

const years = (months) => ({ y: Math.floor(Math.round(months) / 12), m: Math.round(months) % 12 });

async function select(item) {
  const another = current !== item;
  current = item;
  document.querySelector("main").classList.add("reading");
  $("result").hidden = false;
  renderList();
  showResult(item, about, growth, standards);
  $("viewer-card").hidden = !item.pictures;
  if (item.pictures && item.geometry) {
    await viewer.show(item.pictures.radiograph, item.geometry, item.boxes, about.colours);
    layers.refresh(item);
  }
  fillCorrections(item, another);
}

function fillCorrections(item, another) {
  const asked = item.fields;
  $("c-sex").value = asked.sex || "";
  $("c-age").value = asked.chronological_age || "";
  $("c-age").disabled = Boolean(asked.birth_date);
  $("c-height").value = asked.height_cm || "";
  $("c-turn").value = asked.turn || "0";
  $("c-size").value = asked.native_size || "";
  if (another) $("correct").open = item.state === "rejected";
}

function readAgain() {
  if (!current) return;
  const turned = { turn: $("c-turn").value === "0" ? "" : $("c-turn").value, native_size: $("c-size").value.trim() };
  const moved = turned.turn !== (current.fields.turn || "") || turned.native_size !== (current.fields.native_size || "");
  Object.assign(current.fields, turned, { sex: $("c-sex").value, height_cm: $("c-height").value.trim() });
  if (!current.fields.birth_date) current.fields.chronological_age = $("c-age").value.trim();
  if (moved) current.found = null;  // boxes belong to the hand frame of the image as it was
  current.sent = !moved && current.boxes && changed(current) ? current.boxes : null;
  current.state = "waiting";
  renderList();
  showResult(current, about, growth, standards);
  work();
}

const key = (boxes) => JSON.stringify(boxes.map(({ region, box }) => [region, box]));
const changed = (item) => !item.found || key(item.boxes) !== key(item.found);

function undoBoxes() {
  if (!current?.found) return;
  current.boxes.splice(0, current.boxes.length, ...structuredClone(current.found));
  viewer.chosen = null;
  viewer.overlay();
}

function forgetAll() {
  for (const item of items) item.abort?.abort();
  items.length = 0;
  current = null;
  clearResult();
  $("viewer-card").hidden = true;
  $("result").hidden = true;
  document.querySelector("main").classList.remove("reading");
  renderList();
}

function listen() {
  const drop = $("drop");
  $("files").addEventListener("change", (event) => { addFiles(event.target.files); event.target.value = ""; });
  document.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
  document.addEventListener("drop", (event) => { event.preventDefault(); drop.classList.remove("over"); addFiles(event.dataTransfer.files); });
  $("form").addEventListener("submit", (event) => event.preventDefault());
  $("token").addEventListener("change", async (event) => { setToken(event.target.value); await learn(); retry(); });
  $("csv").addEventListener("click", () => save(new Blob(["\ufeff", toCsv(items, about.regions)], { type: "text/csv" }), "bone-ages.csv"));
  $("clear").addEventListener("click", forgetAll);
  $("again").addEventListener("click", readAgain);
  $("undo-boxes").addEventListener("click", undoBoxes);
  $("add-box").addEventListener("click", () => { pickTool("boxes"); viewer.addBox($("add-region").value); });
  $("zoom-in").addEventListener("click", () => viewer.zoom(1.25));
  $("zoom-out").addEventListener("click", () => viewer.zoom(0.8));
  $("fit").addEventListener("click", () => viewer.fit());
  $("invert").addEventListener("click", (event) => event.target.setAttribute("aria-pressed", viewer.invert()));
  for (const name of ["level", "window"]) {
    $(name).addEventListener("input", () => viewer.setWindow(Number($("level").value), Number($("window").value)));
  }
  for (const radio of document.querySelectorAll('input[name="tool"]')) radio.addEventListener("change", () => pickTool(radio.value));
  $("language").addEventListener("change", async (event) => { await setLanguage(event.target.value); retell(); });
  $("theme").addEventListener("change", (event) => { document.documentElement.dataset.theme = event.target.value; });
}

function pickTool(tool) {
  document.querySelector(`input[name="tool"][value="${tool}"]`).checked = true;
  viewer.setTool(tool);
}

function retry() {
  for (const item of items) if (item.state === "error") item.state = "waiting";
  renderList();
  work();
}

// Say everything again, in the language chosen.
function retell() {
  tellAbout();
  renderList();
  layers.retell();
  fillRegions();
  if (current) {
    showResult(current, about, growth, standards);
    if (current.geometry) viewer.overlay();
  }
}

function fillRegions() {
  const detected = about.finder?.regions || [];
  $("add-region").replaceChildren(...detected.map((name) => h("option", { value: name }, t(`region.${name}`))));
}

function tellAbout() {
  if (!about.name) return;
  $("about").textContent = t("about", { bundle: about.name, fingerprint: about.fingerprint, version: about.service_version });
}

async function learn() {
  try {
    about = await (await get("/v1/bundle")).json();
    about.regions = about.networks.map((network) => network.region);
    growth = await (await get("/v1/growth")).json();
    ({ standards } = await (await get("/v1/atlas")).json());
    $("token-field").hidden = true;
    tellAbout();
    fillRegions();
  } catch (error) {
    if (error.status === 401) { $("token-field").hidden = false; $("token").focus(); }
  }
}

await setLanguage(firstLanguage());
$("language").value = language;
viewer.setTool("pan");
listen();
renderList();
await learn();
document.documentElement.dataset.ready = "yes";
