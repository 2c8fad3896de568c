// Texts of the page in five languages.

const LANGUAGES = ["en", "de", "zh", "ko", "es"];
let texts = {};
let english = {};
export let language = "en";

async function load(name) {
  const answer = await fetch(`/static/i18n/${name}.json`);
  return answer.json();
}

export async function setLanguage(name) {
  language = LANGUAGES.includes(name) ? name : "en";
  if (!english.skip) english = await load("en");
  texts = language === "en" ? english : await load(language);
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of document.querySelectorAll("[data-t-label]")) element.setAttribute("aria-label", t(element.dataset.tLabel));
}

export function firstLanguage() {
  const wished = navigator.languages || [navigator.language || "en"];
  const found = wished.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => LANGUAGES.includes(tag));
  return found || "en";
}

// A text, with {name} replaced by values.name.
export function t(key, values = {}) {
  const text = texts[key] ?? english[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

export const known = (key) => key in english;

export function number(value, digits = 1) {
  return new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

export function signed(value, digits = 1) {
  return new Intl.NumberFormat(language, {
    minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: "exceptZero",
  }).format(value);
}

// 124.3 months as "10 y 4 m".
export function age(months) {
  const whole = Math.round(months);
  return t("age.words", { y: Math.floor(whole / 12), m: whole % 12 });
}

// MCP3 stays; digit2, radius and the like have words.
export function boneName(name) {
  const digit = name.match(/^digit(\d)$/);
  if (digit) return t("bone.digit", { n: digit[1] });
  return known(`bone.${name}`) ? t(`bone.${name}`) : name;
}
