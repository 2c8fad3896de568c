// Layers that are computed when they are asked for: plates, occlusion, attention, age map.

import { $, h } from "./dom.js";
import { t } from "./i18n.js";

export class Layers {
  constructor(viewer, current) {
    this.viewer = viewer;
    this.current = current;
    for (const box of $("layers").querySelectorAll("input")) this.listen(box);
  }

  listen(box) { box.addEventListener("change", () => this.viewer.setLayer(box.value, box.checked)); }

  build(about) {}

  refresh(item) {}

  retell() {}
}
