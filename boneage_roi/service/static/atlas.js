// The hand between two mean hands of the atlas, and a slider that goes through their ages.

import { $, h } from "./dom.js";
import { t, age, number } from "./i18n.js";
import { get } from "./api.js";

const pictures = new Map();  // object URLs by sex and months, for this session
let wanted = 0;

async function picture({ sex, months }) {
  const key = `${sex}${months}`;
  if (!pictures.has(key)) {
    const answer = await get(`/v1/atlas/standard?sex=${sex}&age=${months}`);
    pictures.set(key, URL.createObjectURL(await answer.blob()));
  }
  return pictures.get(key);
}

// Place of the first of the two standards around an age.
function around(own, months) {
  const below = own.filter((one) => one.months <= months).length - 1;
  return Math.min(Math.max(below, 0), own.length - 2);
}

export function showAtlas(item, standards) {
  const place = $("atlas");
  const { record, pictures: shown } = item;
  if (!record || !shown?.frame || !standards) return;
  place.replaceChildren(h("h3", { id: "atlas-title" }, t("atlas")));
  if (!record.sex) { place.append(h("p", { class: "hint" }, t("atlas.needs.sex"))); return; }
  const own = standards.filter((one) => one.sex === record.sex);
  if (own.length < 2) return;
  const first = around(own, record.bone_age_months);
  const slider = h("input", { id: "atlas-age", type: "range", min: 0, max: own.length - 2, step: 1 });
  slider.value = item.atlas ?? first;
  const tile = () => {
    const image = h("img", { width: 416, height: 512 }), caption = h("figcaption");
    return { image, caption, figure: h("figure", {}, image, caption) };
  };
  const [younger, child, older] = [tile(), tile(), tile()];
  child.image.src = shown.frame;
  child.image.alt = t("atlas.child");
  child.caption.append(h("strong", {}, t("atlas.child")), ` ${age(record.bone_age_months)}`, shown.mirrored ? ` (${t("atlas.mirrored")})` : "");
  const said = h("output", { for: "atlas-age" });
  place.append(
    h("p", { class: "hint" }, t("atlas.hint")),
    h("div", { class: "atlas" }, younger.figure, child.figure, older.figure),
    h("label", {}, h("span", {}, t("atlas.age")), slider), said,
  );
  const tell = (one, standard) => {
    one.image.alt = t("atlas.alt", { age: age(standard.months) });
    one.caption.textContent = `${age(standard.months)} · ${t("atlas.hands", { n: number(standard.hands, 0) })}`;
  };
  const move = async () => {
    const at = Number(slider.value), mine = ++wanted;
    const [before, after] = [own[at], own[at + 1]];
    item.atlas = at;
    const words = t("atlas.between", { before: age(before.months), after: age(after.months) });
    slider.setAttribute("aria-valuetext", words);
    said.textContent = words;
    tell(younger, before);
    tell(older, after);
    try {
      const [left, right] = await Promise.all([picture(before), picture(after)]);
      if (mine !== wanted) return;  // the slider has moved on
      [younger.image.src, older.image.src] = [left, right];
    } catch (error) {
      said.textContent = error.message;
    }
  };
  slider.addEventListener("input", move);
  move();
}
