// The result of one image: numbers, band, flags, regions, downloads.

import { $, h } from "./dom.js";
import { t, age, number, signed, boneName, language } from "./i18n.js";
import { bandChart, distributionChart } from "./charts.js";
import { flagBoxes } from "./flags.js";
import { showAtlas } from "./atlas.js";
import { post } from "./api.js";
import { regionAge, save } from "./csv.js";

const DOWNLOADS = [
  ["html", "text/html", "html"],
  ["pdf", "application/pdf", "pdf"],
  ["sr", "application/dicom", "dcm"],
  ["fhir", "application/fhir+json", "json"],
];

export function clearResult() {
  for (const id of ["numbers", "flags", "band", "region", "plates", "atlas", "status", "downloads"]) $(id).replaceChildren();
  $("regions").replaceChildren();
}

export function showResult(item, about, growth, standards) {
  clearResult();
  const record = item.record;
  $("status").textContent = record ? "" : item.state === "rejected" ? t("rejected") : ["waiting", "working"].includes(item.state) ? t(`state.${item.state}`) : item.message || "";
  $("download-state").textContent = "";
  for (const id of ["regions-title", "regions", "downloads"]) $(id).parentElement.querySelector(`#${id}`).hidden = !record;
  for (const hint of $("result").querySelectorAll(":scope > .hint, :scope > h3, :scope > .scroll")) hint.hidden = !record;
  if (item.state === "rejected") $("flags").append(...flagBoxes(item.reasons, true), h("p", {}, t("rejected.do")));
  if (!record) return;
  $("numbers").append(
    h("p", { class: "age" }, age(record.bone_age_months), h("small", {}, t("bone.age", { months: number(record.bone_age_months) }))),
    facts(record),
  );
  $("flags").append(...flagBoxes(record.flags, false));
  if (growth && record.sex && record.chronological_age_months !== null && record.chronological_age_months !== undefined) {
    $("band").append(bandChart(growth, record));
  } else {
    $("band").append(h("p", { class: "hint" }, t(record.sex ? "band.needs.age" : "band.needs.sex")));
  }
  regionTable(item, about);
  showAtlas(item, standards);
  downloads(item);
}

function fact(name, value, more, kind = "") {
  return h("div", { class: kind }, h("dt", {}, name), h("dd", {}, value, more ? h("small", {}, more) : null));
}

function facts(record) {
  const list = h("dl", { class: "numbers" });
  list.append(fact(t("interval"), `${age(record.lower)} – ${age(record.upper)}`, t("interval.more")));
  list.append(fact(t("sex"), record.sex ? t(`sex.${record.sex}`) : t("sex.unknown")));
  if (record.chronological_age_months !== null && record.chronological_age_months !== undefined) {
    list.append(fact(t("chronological"), age(record.chronological_age_months)));
    list.append(fact(t("difference"), t("months", { n: signed(record.difference_months) }), t(record.difference_months < 0 ? "behind" : "ahead")));
  }
  if (record.sds !== null && record.sds !== undefined) {
    list.append(fact(t("sds"), signed(record.sds, 2), t("normal.range", { from: age(record.normal_lower), to: age(record.normal_upper) })));
  }
  const also = (record.also_possible || []).map((each) => t(`determination.${each}`));
  list.append(fact(t("determination"), t(`determination.${record.determination}`),
    also.length ? t("determination.also", { others: also.join(", ") }) : record.growth_table ? t("by.table", { table: record.growth_table }) : "", record.determination));
  if (record.adult_height_cm) {
    const range = record.adult_height_lower ? t("height.range", { from: number(record.adult_height_lower), to: number(record.adult_height_upper) }) : "";
    list.append(fact(t("adult.height"), `${number(record.adult_height_cm)} cm`, `${range} ${t("by.table", { table: record.height_table })}`.trim()));
  }
  return list;
}

function regionTable(item, about) {
  const head = h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("region")), h("th", { scope: "col", class: "number" }, t("age.one")),
    h("th", { scope: "col", class: "number" }, t("from.fused"))));
  const rows = about.regions.map((name) => {
    const own = regionAge(item.record, name);
    const swatch = h("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = about.colours[name];
    return h("tr", {},
      h("th", { scope: "row" }, swatch, own === null ? t(`region.${name}`)
        : h("button", { type: "button", class: "linkish", "data-region": name, onclick: () => showRegion(item, name, about) }, t(`region.${name}`))),
      h("td", { class: "number" }, own === null ? "–" : age(own)),
      h("td", { class: "number" }, own === null ? t("not.found") : t("months.short", { n: signed(own - item.record.bone_age_months) })));
  });
  $("regions").append(head, h("tbody", {}, rows));
}

// A region's crops, distribution and age, and its bones to choose from.
export function showRegion(item, name, about) {
  const place = $("region");
  if (!item?.record || !item.distributions?.[name]) { place.replaceChildren(h("p", { class: "hint" }, t("not.found"))); return; }
  const cut = item.pictures.crops[name];
  const own = regionAge(item.record, name);
  const bones = (item.bones || []).filter((bone) => bone.region === name && bone.name !== name);
  place.replaceChildren(
    h("h3", {}, t(`region.${name}`)),
    h("img", { class: "crop", src: cut.image, alt: t("crop.alt", { region: t(`region.${name}`), n: cut.count }) }),
    h("p", {}, t("region.says", { age: age(own), months: number(own) })),
    distributionChart(item.distributions[name], item.grid.width_months, own, item.record.bone_age_months),
    ...(bones.length ? [h("p", { class: "hint" }, t("bones.of")), h("div", { class: "buttons bones" }, bones.map((bone) =>
      h("button", { type: "button", "data-bone": bone.name, onclick: () => showBone(item, bone) }, boneName(bone.name))))] : []),
  );
  place.scrollIntoView({ block: "nearest" });
}

// One bone: its own crop, distribution and age.
export function showBone(item, bone) {
  const place = $("region");
  const name = boneName(bone.name);
  const sure = bone.months !== null;
  place.replaceChildren(
    h("h3", {}, name),
    ...(bone.crop ? [h("img", { class: "crop one", src: bone.crop, alt: t("bone.crop.alt", { name }) })] : []),
    h("p", {}, sure
      ? t("bone.says", { age: age(bone.months), months: number(bone.months), spread: number(bone.spread) })
      : t("plate.uncertain", { name })),
    ...(bone.far ? [h("p", {}, h("strong", {}, t("plate.outlier")))] : []),
    ...(sure && bone.distribution
      ? [distributionChart(bone.distribution, item.grid.width_months, bone.months, item.record.bone_age_months)] : []),
  );
  place.scrollIntoView({ block: "nearest" });
}

function downloads(item) {
  const stem = item.name.replace(/\.[^.]*$/, "") || "hand";
  $("downloads").replaceChildren(...DOWNLOADS.map(([name, accept, ending]) => h("button", {
    type: "button", "data-download": name,
    onclick: async (event) => {
      const button = event.currentTarget;
      button.disabled = true;
      $("download-state").textContent = t("download.wait");
      try {
        const answer = await post("/v1/readings", item.file, { ...item.asked, language }, { accept });
        save(await answer.blob(), `${stem}-bone-age.${ending}`);
        $("download-state").textContent = t("download.done");
      } catch (error) {
        $("download-state").textContent = error.message;
      }
      button.disabled = false;
    },
  }, t(`download.${name}`))));
}
