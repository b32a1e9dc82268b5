// The picture with its heat, boxes and peak, at any size. Same scale and fading as the recordings (see overlay.py).

const SMOOTH = 8; // heat is drawn this many times finer than its cells, by cubic interpolation
const FADE_MS = 160;
const CELL_SHIFT = 7.5 / 16; // cells look this much further left and up than stretched ones (lvs_runtime/heatmap.py)

function cubicWeights(size, cells) {
  const rows = [];
  for (let i = 0; i < size; i += 1) {
    const at = ((i + 0.5) * cells) / size - 0.5 + CELL_SHIFT;
    const base = Math.floor(at);
    const row = new Float32Array(cells);
    for (let tap = -1; tap <= 2; tap += 1) {
      const d = Math.abs(at - (base + tap));
      const near = (1.5 * d - 2.5) * d * d + 1;
      const far = ((-0.5 * d + 2.5) * d - 4) * d + 2;
      row[Math.min(cells - 1, Math.max(0, base + tap))] += d <= 1 ? near : d < 2 ? far : 0;
    }
    rows.push(row);
  }
  return rows;
}

/** Heat in [0, 1] of a similarity, piecewise linear through the three stops. */
export function heatOf(similarity, [low, mid, high]) {
  if (similarity <= low) return 0;
  if (similarity >= high) return 1;
  return similarity < mid ? (0.5 * (similarity - low)) / (mid - low) : 0.5 + (0.5 * (similarity - mid)) / (high - mid);
}

export class Painter {
  constructor() {
    this.scale = null; // {colors, alpha} from the server; each result brings its stops
    this.heat = document.createElement("canvas");
    this.weights = null;
    this.strength = 0;
    this.lastMs = null;
  }

  /** Take a new result: fades the heat in or out by capture time, and redraws its cells. */
  update(result) {
    const passed = this.lastMs === null ? Infinity : result.t_ms - this.lastMs;
    this.lastMs = result.t_ms;
    const share = passed >= 0 && passed < 1000 ? 1 - Math.exp(-passed / (FADE_MS / 3)) : 1;
    this.strength += (result.strength - this.strength) * share;
    if (this.scale && this.strength > 0.01) this.#renderHeat(result.similarity_map, result.stops);
  }

  #renderHeat(map, stops) {
    const rows = map.length;
    const columns = map[0].length;
    const width = columns * SMOOTH;
    const height = rows * SMOOTH;
    if (this.heat.width !== width || this.heat.height !== height || !this.weights) {
      this.heat.width = width;
      this.heat.height = height;
      this.weights = { x: cubicWeights(width, columns), y: cubicWeights(height, rows) };
    }
    const { colors, alpha } = this.scale;
    const wide = map.map((row) => {
      const heat = row.map((value) => heatOf(value, stops));
      return this.weights.x.map((weights) => weights.reduce((sum, weight, i) => sum + weight * heat[i], 0));
    });
    const context = this.heat.getContext("2d");
    const image = context.createImageData(width, height);
    for (let y = 0; y < height; y += 1) {
      const weights = this.weights.y[y];
      for (let x = 0; x < width; x += 1) {
        let value = 0;
        for (let i = 0; i < rows; i += 1) if (weights[i] !== 0) value += weights[i] * wide[i][x];
        const step = Math.round(255 * Math.min(1, Math.max(0, value)));
        const at = 4 * (y * width + x);
        [image.data[at], image.data[at + 1], image.data[at + 2]] = colors[step];
        image.data[at + 3] = Math.round(255 * alpha[step]);
      }
    }
    context.putImageData(image, 0, 0);
  }

  /** Draw bitmap and overlay into the rectangle `area` {x, y, width, height} of a 2D context. */
  paint(context, bitmap, result, area, options) {
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, area.x, area.y, area.width, area.height);
    if (options.heat && this.scale && this.strength > 0.01) {
      context.globalAlpha = this.strength * options.opacity;
      context.drawImage(this.heat, area.x, area.y, area.width, area.height);
      context.globalAlpha = 1;
    }
    if (options.boxes && result.state === "seen") this.#marks(context, result, area);
  }

  #marks(context, result, area) {
    const unit = area.width / result.image_size_px[0];
    const thick = Math.max(2, area.width / 290);
    for (const box of result.boxes_px) {
      const [x0, y0, x1, y1] = box.map((value) => value * unit);
      const inset = thick / 2;
      this.#corners(context, area.x + x0 + inset, area.y + y0 + inset, area.x + x1 - inset, area.y + y1 - inset, thick);
    }
    const x = area.x + (result.peak_px[0] + 0.5) * unit;
    const y = area.y + (result.peak_px[1] + 0.5) * unit;
    for (const [color, width] of [["rgb(0 0 0 / .7)", thick + 2.5], ["#fff", thick]]) {
      context.strokeStyle = color;
      context.lineWidth = width;
      context.beginPath();
      context.arc(x, y, 3.6 * thick, 0, 2 * Math.PI);
      context.stroke();
    }
    context.fillStyle = "#fff";
    context.beginPath();
    context.arc(x, y, thick * 0.9, 0, 2 * Math.PI);
    context.fill();
  }

  #corners(context, x0, y0, x1, y1, thick) {
    const arm = Math.max(2 * thick, Math.min(x1 - x0, y1 - y0) / 4);
    for (const [color, width] of [["rgb(0 0 0 / .7)", thick + 2.5], ["#fff", thick]]) {
      context.strokeStyle = color;
      context.lineWidth = width;
      context.lineCap = "square";
      context.beginPath();
      for (const [x, dx] of [[x0, arm], [x1, -arm]]) {
        for (const [y, dy] of [[y0, arm], [y1, -arm]]) {
          context.moveTo(x + dx, y);
          context.lineTo(x, y);
          context.lineTo(x, y + dy);
        }
      }
      context.stroke();
    }
  }
}

/** The largest rectangle of the picture's shape inside width x height, centred. */
export function fit(pictureWidth, pictureHeight, width, height) {
  const unit = Math.min(width / pictureWidth, height / pictureHeight);
  const w = pictureWidth * unit;
  const h = pictureHeight * unit;
  return { x: (width - w) / 2, y: (height - h) / 2, width: w, height: h };
}

/** Match a canvas's pixels to its size on screen; true when it changed. */
export function sharpen(canvas) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  if (canvas.width === width && canvas.height === height) return false;
  canvas.width = width;
  canvas.height = height;
  return true;
}
