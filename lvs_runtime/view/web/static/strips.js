// The last 20 seconds on one time axis: a spectrogram, and the confidence coloured by what was heard.

import { sharpen } from "./draw.js";

const SPAN_MS = 20000;
const COLORS = { seen: "#5adc78", unseen: "#faaa3c", silent: "#59636e" };

export class Strips {
  constructor(spectrum, timeline) {
    this.spectrum = spectrum;
    this.timeline = timeline;
    this.bands = 64;
    this.rate = 32;
    this.columns = []; // {t, bands}
    this.points = []; // {t, confidence, state}
    this.now = 0;
    this.palette = null;
  }

  configure(sound, colors) {
    this.bands = sound.bands;
    this.rate = sound.columns_per_second;
    this.palette = colors;
    this.restart();
  }

  addSound(t, bands) {
    this.columns.push({ t, bands });
    this.#advance(t, this.columns);
  }

  addResult(t, confidence, state) {
    if (this.points.length && t < this.points[this.points.length - 1].t - 1000) this.restart();
    this.points.push({ t, confidence, state });
    this.#advance(t, this.points);
  }

  /** The clock of the stamps went back (a file begins anew): the old stretch is no longer "the last 20 s". */
  restart() {
    this.columns = [];
    this.points = [];
    this.now = 0;
  }

  #advance(t, list) {
    this.now = Math.max(this.now, t);
    while (list.length && list[0].t < this.now - SPAN_MS - 1000) list.shift();
  }

  draw() {
    this.#drawSpectrum();
    this.#drawTimeline();
  }

  #drawSpectrum() {
    const canvas = this.spectrum;
    sharpen(canvas);
    const context = canvas.getContext("2d");
    const total = Math.round((SPAN_MS / 1000) * this.rate);
    const image = context.createImageData(total, this.bands);
    if (!this.palette) return;
    for (const { t, bands } of this.columns) {
      const x = total - 1 - Math.round(((this.now - t) * this.rate) / 1000);
      if (x < 0 || x >= total) continue;
      for (let band = 0; band < this.bands; band += 1) {
        const at = 4 * ((this.bands - 1 - band) * total + x);
        const value = bands[band];
        [image.data[at], image.data[at + 1], image.data[at + 2]] = this.palette[value];
        image.data[at + 3] = Math.min(255, value * 2);
      }
    }
    this.buffer ??= document.createElement("canvas");
    this.buffer.width = total;
    this.buffer.height = this.bands;
    this.buffer.getContext("2d").putImageData(image, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingQuality = "high";
    context.drawImage(this.buffer, 0, 0, canvas.width, canvas.height);
  }

  #drawTimeline() {
    const canvas = this.timeline;
    sharpen(canvas);
    const context = canvas.getContext("2d");
    const { width, height } = canvas;
    const ratio = width / Math.max(1, canvas.clientWidth);
    const band = Math.round(5 * ratio);
    const room = height - band - 3 * ratio;
    context.clearRect(0, 0, width, height);
    context.fillStyle = "#252b32";
    context.fillRect(0, Math.round(room / 2), width, Math.max(1, Math.round(ratio)));
    const xOf = (t) => width - ((this.now - t) * width) / SPAN_MS;
    const { points } = this;
    for (let i = 0; i < points.length; i += 1) {
      const point = points[i];
      const next = i + 1 < points.length ? points[i + 1].t : point.t + 40;
      const x0 = Math.round(xOf(point.t));
      const x1 = Math.max(x0 + 1, Math.round(xOf(Math.min(next, point.t + 500))));
      context.fillStyle = COLORS[point.state];
      context.fillRect(x0, height - band, x1 - x0, band);
      const tall = point.confidence * room;
      context.globalAlpha = 0.28;
      context.fillRect(x0, room - tall, x1 - x0, tall);
      context.globalAlpha = 1;
      context.fillRect(x0, room - tall, x1 - x0, Math.max(1.5, 1.5 * ratio));
    }
  }
}
