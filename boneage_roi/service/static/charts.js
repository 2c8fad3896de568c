// Charts as SVG: bone age over chronological age with its band, and the distribution of a region.

import { s, h } from "./dom.js";
import { t, age, number, signed } from "./i18n.js";

const WIDTH = 460, HEIGHT = 320, LEFT = 46, RIGHT = 12, TOP = 14, BOTTOM = 44;

function frame(label, description) {
  return s("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${label}. ${description}` });
}

const line = (points) => points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");

// growth: of /v1/growth; record: a reading with sex and chronological age.
export function bandChart(growth, record) {
  const rows = growth.rows[record.sex];
  const last = Math.max(216, Math.ceil(Math.max(record.chronological_age_months, record.upper) / 24) * 24);
  const x = (months) => LEFT + (months / last) * (WIDTH - LEFT - RIGHT);
  const y = (months) => HEIGHT - BOTTOM - (months / last) * (HEIGHT - TOP - BOTTOM);
  const description = t("band.description", { age: age(record.chronological_age_months), bone: age(record.bone_age_months) });
  const svg = frame(t("band"), description);
  for (let months = 0; months <= last; months += 24) {
    svg.append(
      s("line", { class: "grid", x1: x(months), x2: x(months), y1: y(0), y2: y(last) }),
      s("line", { class: "grid", x1: x(0), x2: x(last), y1: y(months), y2: y(months) }),
      s("text", { x: x(months), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, String(months / 12)),
      s("text", { x: LEFT - 6, y: y(months) + 4, "text-anchor": "end" }, String(months / 12)),
    );
  }
  const clamp = (value) => Math.min(Math.max(value, 0), last);
  const upper = rows.map(([at, mean, sd]) => [x(at), y(clamp(mean + 2 * sd))]);
  const lower = rows.map(([at, mean, sd]) => [x(at), y(clamp(mean - 2 * sd))]);
  svg.append(
    s("polygon", { class: "band", points: line([...upper, ...lower.reverse()]) }),
    s("line", { class: "same", x1: x(0), y1: y(0), x2: x(last), y2: y(last) }),
    s("polyline", { class: "mean", points: line(rows.map(([at, mean]) => [x(at), y(mean)])) }),
    s("line", { class: "axis", x1: x(0), x2: x(last), y1: y(0), y2: y(0) }),
    s("line", { class: "axis", x1: x(0), x2: x(0), y1: y(0), y2: y(last) }),
  );
  const at = x(record.chronological_age_months);
  for (const [from, to] of [[record.lower, record.upper]]) {
    svg.append(
      s("line", { class: "interval", x1: at, x2: at, y1: y(from), y2: y(to) }),
      s("line", { class: "interval", x1: at - 5, x2: at + 5, y1: y(from), y2: y(from) }),
      s("line", { class: "interval", x1: at - 5, x2: at + 5, y1: y(to), y2: y(to) }),
    );
  }
  svg.append(
    s("circle", { class: "child", cx: at, cy: y(record.bone_age_months), r: 6 }),
    s("text", { x: x(last / 2), y: HEIGHT - 8, "text-anchor": "middle" }, t("band.x")),
    s("text", { transform: `translate(12 ${y(last / 2)}) rotate(-90)`, "text-anchor": "middle" }, t("band.y")),
  );
  return h("figure", {}, svg, h("figcaption", {}, t("band.caption", { table: growth.title })));
}

// probabilities over ages from 0, width months apart.
export function distributionChart(probabilities, width, mean, fused) {
  const first = Math.max(0, probabilities.findIndex((p) => p > 0.0005) - 6);
  const end = probabilities.length - [...probabilities].reverse().findIndex((p) => p > 0.0005);
  const last = Math.min(probabilities.length - 1, end + 6);
  const top = Math.max(...probabilities) * 1.1;
  const x = (months) => LEFT + ((months / width - first) / (last - first)) * (WIDTH - LEFT - RIGHT);
  const y = (p) => HEIGHT - BOTTOM - (p / top) * (HEIGHT - TOP - BOTTOM);
  const svg = frame(t("distribution"), t("distribution.description", { age: age(mean) }));
  const points = [];
  for (let bin = first; bin <= last; bin += 1) points.push([x(bin * width), y(probabilities[bin])]);
  svg.append(s("polygon", { class: "area", points: line([[points[0][0], y(0)], ...points, [points.at(-1)[0], y(0)]]) }));
  const step = (last - first) * width > 96 ? 24 : 12;
  for (let months = Math.ceil((first * width) / step) * step; months <= last * width; months += step) {
    svg.append(s("text", { x: x(months), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, number(months / 12, 0)));
  }
  svg.append(
    s("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: y(0), y2: y(0) }),
    s("line", { class: "mark", x1: x(mean), x2: x(mean), y1: y(0), y2: TOP }),
    s("line", { class: "same", x1: x(fused), x2: x(fused), y1: y(0), y2: TOP }),
    s("text", { x: (LEFT + WIDTH) / 2, y: HEIGHT - 8, "text-anchor": "middle" }, t("years")),
  );
  return h("figure", {}, svg, h("figcaption", {}, t("distribution.caption", {
    age: age(mean), difference: signed(mean - fused),
  })));
}
