// The radiograph: zoom, pan, window and level, layers, and boxes that can be changed.

import { s, $ } from "./dom.js";
import { t, boneName } from "./i18n.js";

const MOST = 4095;

export class Viewer {
  constructor({ onRegion, onPlate, onBoxes }) {
    Object.assign(this, { onRegion, onPlate, onBoxes });
    this.stage = $("stage");
    this.canvas = $("canvas");
    this.svg = $("overlay");
    this.tool = "pan";
    this.inverted = false;
    this.layers = new Set(["hand", "regions"]);
    this.maps = {};
    this.pointers = new Map();
    new ResizeObserver(() => { if (this.geometry) this.draw(); }).observe(this.stage);
    this.listen();
  }

  // Show a radiograph. boxes: entries of geometry.boxes; they are changed in place.
  async show(picture, geometry, boxes, colours) {
    const image = new Image();
    image.src = picture;
    await image.decode();
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const rgba = context.getImageData(0, 0, canvas.width, canvas.height).data;
    this.values = new Uint16Array(rgba.length / 4);
    for (let i = 0; i < this.values.length; i += 1) this.values[i] = (rgba[4 * i] << 4) | (rgba[4 * i + 1] >> 4);
    this.image = canvas;
    Object.assign(this, { geometry, boxes, colours, maps: {}, plates: null, chosen: null, root: null });
    [this.level, this.window] = this.handContrast();
    this.fit();
    this.render();
  }

  // Level and window that fit the hand: the pixels inside its outline, without the darkest and brightest.
  handContrast() {
    const { width, height } = this.image;
    const mask = new OffscreenCanvas(width, height);
    const context = mask.getContext("2d");
    const scale = width / this.geometry.size[0];
    for (const outline of this.geometry.hand) {
      context.beginPath();
      outline.forEach(([x, y]) => context.lineTo(x * scale, y * scale));
      context.fill();
    }
    const inside = context.getImageData(0, 0, width, height).data;
    const counts = new Uint32Array(MOST + 1);
    let total = 0;
    for (let i = 0; i < this.values.length; i += 1) {
      if (inside[4 * i + 3] > 127) { counts[this.values[i]] += 1; total += 1; }
    }
    if (total < 100) return [MOST / 2, MOST];
    const at = (share) => {
      let seen = 0;
      for (let value = 0; value <= MOST; value += 1) { seen += counts[value]; if (seen >= share * total) return value; }
      return MOST;
    };
    let low = at(0.01);
    const high = at(0.995);
    low -= 0.25 * (high - low);
    return [(low + high) / 2, Math.max(high - low, 50)];
  }

  render() {
    const table = new Uint8ClampedArray(MOST + 1);
    for (let value = 0; value <= MOST; value += 1) {
      const grey = ((value - this.level) / this.window + 0.5) * 255;
      table[value] = this.inverted ? 255 - grey : grey;
    }
    const context = this.image.getContext("2d");
    const data = context.createImageData(this.image.width, this.image.height);
    for (let i = 0; i < this.values.length; i += 1) {
      const grey = table[this.values[i]];
      data.data[4 * i] = grey; data.data[4 * i + 1] = grey; data.data[4 * i + 2] = grey; data.data[4 * i + 3] = 255;
    }
    context.putImageData(data, 0, 0);
    $("level").value = this.level;
    $("window").value = this.window;
    this.draw();
  }

  setWindow(level, window) {
    this.level = Math.min(Math.max(level, 0), MOST);
    this.window = Math.min(Math.max(window, 50), 2 * MOST);
    if (!this.waiting) {
      this.waiting = true;
      requestAnimationFrame(() => { this.waiting = false; this.render(); });
    }
  }

  invert() { this.inverted = !this.inverted; this.render(); return this.inverted; }

  fit() {
    const [width, height] = this.geometry.size;
    const { clientWidth, clientHeight } = this.stage;
    this.scale = Math.min(clientWidth / width, clientHeight / height);
    this.x = (clientWidth - width * this.scale) / 2;
    this.y = (clientHeight - height * this.scale) / 2;
    this.draw();
  }

  zoom(factor, at = [this.stage.clientWidth / 2, this.stage.clientHeight / 2]) {
    const scale = Math.min(Math.max(this.scale * factor, 0.02), 40);
    this.x = at[0] - (at[0] - this.x) * (scale / this.scale);
    this.y = at[1] - (at[1] - this.y) * (scale / this.scale);
    this.scale = scale;
    this.draw();
  }

  pan(dx, dy) { this.x += dx; this.y += dy; this.draw(); }

  draw() {
    if (!this.image || !this.stage.clientWidth) return;
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.stage;
    this.canvas.width = clientWidth * ratio;
    this.canvas.height = clientHeight * ratio;
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio * this.scale, 0, 0, ratio * this.scale, ratio * this.x, ratio * this.y);
    context.imageSmoothingQuality = "high";
    context.drawImage(this.image, 0, 0, ...this.geometry.size);
    if (!this.root) this.overlay();
    this.root.setAttribute("transform", `translate(${this.x} ${this.y}) scale(${this.scale}) translate(0.5 0.5)`);
    for (const dot of this.root.querySelectorAll("[data-r]")) dot.setAttribute("r", dot.dataset.r / this.scale);
    $("scale-bar").textContent = `${Math.round(this.scale * 100)} %`;
  }

  // Build the layers anew; draw() only moves them.
  overlay() {
    this.root = s("g");
    const [a, c, e] = this.geometry.frame.to_radiograph[0];
    const [b, d, f] = this.geometry.frame.to_radiograph[1];
    const [width, height] = this.geometry.frame.size;
    for (const [name, href] of Object.entries(this.maps)) {
      if (!this.layers.has(name)) continue;
      this.root.append(s("image", {
        href, x: -0.5, y: -0.5, width, height, preserveAspectRatio: "none",
        transform: `matrix(${a} ${b} ${c} ${d} ${e} ${f})`,
      }));
    }
    if (this.layers.has("hand")) {
      for (const outline of this.geometry.hand) this.root.append(s("polygon", { class: "hand", points: outline.map((p) => p.join()).join(" ") }));
    }
    if (this.layers.has("regions") || this.tool === "boxes") this.boxes.forEach((box, index) => this.root.append(this.boxShape(box, index)));
    if (this.layers.has("plates") && this.plates && this.tool !== "boxes") this.plates.forEach((plate) => this.root.append(this.plateShape(plate)));
    if (this.tool === "boxes") this.boxes.forEach((box, index) => { if (index === this.chosen) this.root.append(...this.handles(box)); });
    this.svg.replaceChildren(this.root);
    this.draw();
  }

  boxShape(box, index) {
    const count = this.boxes.slice(0, index + 1).filter((other) => other.region === box.region).length;
    const shape = s("polygon", {
      class: index === this.chosen ? "box chosen" : "box", points: corners(box, this.geometry).map((p) => p.join()).join(" "),
      stroke: this.colours[box.region] || "#ffffff", tabindex: 0, role: "button",
      "aria-label": `${t(`region.${box.region}`)} ${count}${box.name ? ` (${boneName(box.name)})` : ""}`, "data-index": index,
    });
    shape.addEventListener("focus", () => this.choose(index));
    shape.addEventListener("click", () => { if (this.tool !== "window" && !this.moved) this.onRegion(box); });
    shape.addEventListener("keydown", (event) => this.boxKey(event, box, index));
    return shape;
  }

  plateShape(plate) {
    const shape = s("circle", {
      class: plate.months === null ? "plate unsure" : "plate", cx: plate.x, cy: plate.y, "data-r": 8, r: 8 / (this.scale || 1), fill: plate.colour, tabindex: 0, role: "button",
      "aria-label": plate.label,
    });
    shape.append(s("title", {}, plate.label));
    shape.addEventListener("click", () => this.onPlate(plate));
    shape.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); this.onPlate(plate); } });
    return shape;
  }

  handles(box) {
    return corners(box, this.geometry).map(([x, y], corner) => {
      const handle = s("circle", { class: "handle", cx: x, cy: y, "data-r": 7, r: 7 / this.scale, "data-corner": corner });
      return handle;
    });
  }

  choose(index) {
    if (this.chosen === index) return;
    this.chosen = index;
    for (const shape of this.svg.querySelectorAll(".box")) shape.classList.toggle("chosen", Number(shape.dataset.index) === index);
    this.svg.querySelectorAll(".handle").forEach((handle) => handle.remove());
    if (this.tool === "boxes" && this.boxes[index]) this.root.append(...this.handles(this.boxes[index]));
  }

  boxKey(event, box, index) {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); event.stopPropagation(); this.onRegion(box); return; }
    if (this.tool !== "boxes") return;
    const step = { ArrowLeft: [-2, 0], ArrowRight: [2, 0], ArrowUp: [0, -2], ArrowDown: [0, 2] }[event.key];
    if (step) {
      event.preventDefault(); event.stopPropagation();
      this.change(box, event.shiftKey ? [0, 0, ...step] : [...step, ...step]);
      this.refocus(index);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault(); event.stopPropagation();
      this.boxes.splice(index, 1);
      this.chosen = null;
      this.overlay();
      this.onBoxes();
      this.stage.focus();
    }
  }

  refocus(index) { this.overlay(); this.svg.querySelector(`.box[data-index="${index}"]`)?.focus(); }

  // Move the box's sides by so many frame pixels: left, top, right, bottom.
  change(box, by) {
    const moved = box.box.map((value, side) => value + by[side]);
    if (moved[2] - moved[0] < 8 || moved[3] - moved[1] < 8) return;
    box.box = moved;
    box.confidence = 1;
    box.changed = true;
    this.onBoxes();
  }

  addBox(region) {
    const [width, height] = this.geometry.frame.size;
    this.boxes.push({ region, box: [0.4 * width, 0.4 * height, 0.6 * width, 0.6 * height], confidence: 1, changed: true });
    this.chosen = this.boxes.length - 1;
    this.refocus(this.chosen);
    this.onBoxes();
  }

  setTool(tool) { this.tool = tool; this.stage.dataset.tool = tool; this.chosen = null; if (this.geometry) this.overlay(); }
  setLayer(name, on) { if (on) this.layers.add(name); else this.layers.delete(name); if (this.geometry) this.overlay(); }

  toFrame(x, y) {
    const [a, c, e] = this.geometry.frame.to_radiograph[0];
    const [b, d, f] = this.geometry.frame.to_radiograph[1];
    const px = (x - this.x) / this.scale - 0.5 - e, py = (y - this.y) / this.scale - 0.5 - f, det = a * d - b * c;
    return [(d * px - c * py) / det, (a * py - b * px) / det];
  }

  listen() {
    const place = (event) => { const box = this.stage.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
    this.stage.addEventListener("pointerdown", (event) => {
      if (!this.geometry) return;
      this.pointers.set(event.pointerId, place(event));
      this.moved = false;
      this.drag = null;
      if (this.tool === "boxes" && this.pointers.size === 1) {
        const handle = event.target.closest?.(".handle"), shape = event.target.closest?.(".box");
        if (handle) this.drag = { box: this.boxes[this.chosen], corner: Number(handle.dataset.corner) };
        else if (shape) { this.choose(Number(shape.dataset.index)); this.drag = { box: this.boxes[this.chosen], corner: null }; }
        if (this.drag) { this.drag.from = this.toFrame(...place(event)); event.preventDefault(); }
      }
    });
    window.addEventListener("pointermove", (event) => {
      const before = this.pointers.get(event.pointerId);
      if (!before) return;
      const now = place(event);
      const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
      if (!this.moved && Math.hypot(dx, dy) < 3) return;
      this.moved = true;
      if (this.pointers.size === 2) this.pinch(event.pointerId, now);
      else if (this.drag) this.dragBox(now);
      else if (this.tool === "window" || event.buttons === 2) this.setWindow(this.level - dy * 6, this.window + dx * 6);
      else this.pan(dx, dy);
      this.pointers.set(event.pointerId, now);
    });
    for (const name of ["pointerup", "pointercancel"]) {
      window.addEventListener(name, (event) => { this.pointers.delete(event.pointerId); this.drag = null; });
    }
    this.stage.addEventListener("contextmenu", (event) => event.preventDefault());
    this.stage.addEventListener("wheel", (event) => {
      if (!this.geometry) return;
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * 0.0015), place(event));
    }, { passive: false });
    this.stage.addEventListener("keydown", (event) => this.stageKey(event));
  }

  stageKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.geometry) return;
    const moves = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
    if (moves[event.key]) this.pan(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoom(1.25);
    else if (event.key === "-") this.zoom(0.8);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
  }

  pinch(id, now) {
    const [other] = [...this.pointers].filter(([key]) => key !== id).map(([, point]) => point);
    const before = this.pointers.get(id);
    const spread = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]) || 1;
    this.zoom(spread(now) / spread(before), [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2]);
  }

  dragBox(now) {
    const [x, y] = this.toFrame(...now);
    const [dx, dy] = [x - this.drag.from[0], y - this.drag.from[1]];
    const sides = { null: [dx, dy, dx, dy], 0: [dx, dy, 0, 0], 1: [0, dy, dx, 0], 2: [0, 0, dx, dy], 3: [dx, 0, 0, dy] };
    this.change(this.drag.box, sides[this.drag.corner]);
    this.drag.from = [x, y];
    this.overlay();
  }
}

// The four corners of a box in radiograph pixels, clockwise from the frame's top left.
export function corners(box, geometry) {
  const [[a, c, e], [b, d, f]] = geometry.frame.to_radiograph;
  const [left, top, right, bottom] = box.box;
  return [[left, top], [right, top], [right, bottom], [left, bottom]].map(([x, y]) => [a * x + c * y + e, b * x + d * y + f]);
}
