// Layers that are computed when they are asked for: growth plates by age, occlusion, attention, age map.

import { $, h, s } from "./dom.js";
import { t, age, signed, number, boneName } from "./i18n.js";
import { post } from "./api.js";

const METHODS = { occlusion: "occlusion", attention: "attention", age: "age-map" };
const MOST = 24;  // months at the ends of the plates' scale
const CIVIDIS = ["#00224e", "#1a386f", "#434e6c", "#61656f", "#7d7c78", "#9b9476", "#bcaf6f", "#dfcb5d", "#fee838"];

function scaleColour(share) {
  const place = Math.min(Math.max(share, 0), 1) * (CIVIDIS.length - 1);
  const low = Math.min(Math.floor(place), CIVIDIS.length - 2);
  const part = (index, from) => parseInt(CIVIDIS[index].slice(from, from + 2), 16);
  const mix = (from) => Math.round(part(low, from) + (place - low) * (part(low + 1, from) - part(low, from)));
  return `rgb(${mix(1)}, ${mix(3)}, ${mix(5)})`;
}

export class Layers {
  constructor(viewer, current) {
    this.viewer = viewer;
    this.current = current;
    this.shown = null;
    for (const name of ["plates", "occlusion", "attention", "age"]) {
      $("layers").append(h("label", { class: "choice" }, h("input", { type: "checkbox", value: name }), " ",
        h("span", { "data-t": `layer.${name}` }, t(`layer.${name}`))));
    }
    for (const box of $("layers").querySelectorAll("input")) box.addEventListener("change", () => this.change(box));
  }

  async change(box) {
    if (METHODS[box.value] && box.checked) {
      // One map at a time: two would mix their colours.
      for (const other of $("layers").querySelectorAll("input")) {
        if (other !== box && METHODS[other.value] && other.checked) { other.checked = false; this.viewer.setLayer(other.value, false); }
      }
    }
    this.viewer.setLayer(box.value, box.checked);
    if (METHODS[box.value]) {
      this.shown = box.checked ? box.value : null;
      if (box.checked) await this.explain(this.current(), box.value);
    }
    this.legend();
  }

  // Compute a map once an image, and show it if it is still wanted.
  async explain(item, name) {
    if (!item?.record) return;
    item.explained ??= {};
    if (!item.explained[name]) {
      $("layer-state").textContent = t("layer.wait");
      try {
        const answer = await post("/v1/explanations", item.file, { ...item.asked, method: METHODS[name] });
        item.explained[name] = await answer.json();
        $("layer-state").textContent = t("layer.ready");
      } catch (error) {
        $("layer-state").textContent = error.message;
        return;
      }
    }
    if (this.current() !== item || this.shown !== name) return;
    this.viewer.maps[name] = item.explained[name].layer;
    this.viewer.overlay();
    this.legend();
  }

  refresh(item) {
    $("layer-state").textContent = "";
    this.viewer.plates = (item.bones || []).map((bone) => ({
      ...bone, label: this.label(bone, item),
      colour: bone.months === null ? "none" : scaleColour(((bone.months - item.record.bone_age_months) / MOST + 1) / 2),
    }));
    for (const box of $("layers").querySelectorAll("input")) this.viewer.setLayer(box.value, box.checked);
    if (this.shown) this.explain(item, this.shown);
    this.legend();
  }

  label(bone, item) {
    if (bone.months === null) return t("plate.uncertain", { name: boneName(bone.name) });
    const words = t("plate.label", { name: boneName(bone.name), age: age(bone.months), difference: signed(bone.months - item.record.bone_age_months) });
    return bone.far ? `${words} (${t("plate.outlier")})` : words;
  }

  legend() {
    const place = $("legend");
    const item = this.current();
    const explained = this.shown && item?.explained?.[this.shown];
    const plates = $("layers").querySelector("input[value=plates]").checked && item?.bones?.length;
    place.hidden = !explained && !plates;
    if (place.hidden) return;
    const colours = explained ? explained.scale : CIVIDIS;
    const [low, high] = explained ? [explained.low, explained.high] : [-MOST, MOST];
    const signs = explained ? explained.signed : true;
    const say = (value) => (signs ? signed(value) : number(value));
    const bar = s("svg", { viewBox: `0 0 ${colours.length} 1`, preserveAspectRatio: "none", "aria-hidden": "true" },
      colours.map((colour, index) => s("rect", { x: index, y: 0, width: 1.02, height: 1, fill: colour })));
    place.replaceChildren(h("span", {}, say(low)), bar, h("span", {}, say(high)),
      h("p", { class: "hint" }, t(`legend.${explained ? this.shown : "plates"}`)));
  }

  retell() {
    const item = this.current();
    if (item?.record) this.refresh(item);
  }
}
