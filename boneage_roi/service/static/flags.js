// What the reader flags, in plain words with what to do about each.

import { h } from "./dom.js";
import { t, age, number } from "./i18n.js";

// What the reader says in English, the key of its text, and the names of the values in it.
const KNOWN = [
  [/^sex unknown: (\d+) months if female, (\d+) if male$/, "sex", ["f", "m"]],
  [/^no hand found$/, "nohand", []],
  [/^no child's hand recognised$/, "likeness", []],
  [/^two hands/, "twohands", []],
  [/^(\d+) of 5 digits found$/, "digits", ["n"]],
  [/^(\d+) of 16 growth plates found$/, "plates", ["n"]],
  [/^hand too small: (\d+) pixels/, "small", ["n"]],
  [/^cut off below the wrist$/, "forearm", []],
  [/^hand cut off at the image's edge$/, "edge", []],
  [/^hand too dark or too pale/, "contrast", []],
  [/^over- or underexposed: ([\d.]+)%/, "clipped", ["n"]],
  [/^noisy: noise of ([\d.]+)%/, "noise", ["n"]],
  [/^compressed too much/, "blocks", []],
  [/^(?:contrast enhanced|histogram equalised)/, "enhanced", []],
  [/^regions disagree \(standard deviation ([\d.]+) months\)$/, "disagree", ["n"]],
  [/^(?:nearly or fully|skeletally) mature/, "mature", []],
  [/aspect ratio restored$/, "aspect", []],
  [/^inverted$/, "inverted", []],
  [/^chronological age of ([\d.]+) months: is it in years/, "years", ["n"]],
  [/^none of the regions/, "noregions", []],
  [/^([a-z-]+) not found$/, "notfound", ["region"]],
];

export function explainFlag(text) {
  for (const [pattern, key, names] of KNOWN) {
    const match = text.match(pattern);
    if (!match) continue;
    const values = Object.fromEntries(names.map((name, index) => [name, match[index + 1]]));
    if (key === "sex") { values.f = age(Number(values.f)); values.m = age(Number(values.m)); }
    if (values.region) values.region = t(`region.${values.region}`);
    return { what: t(`flag.${key}`, values), todo: t(`flag.${key}.do`, values) };
  }
  return { what: text, todo: t("flag.other.do") };
}

export function flagBoxes(flags, rejected) {
  return flags.map((flag) => {
    const { what, todo } = explainFlag(flag);
    return h("div", { class: rejected ? "flag rejected" : "flag" }, h("strong", {}, what), h("br"), todo);
  });
}
