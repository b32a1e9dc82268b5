// The live page: one WebSocket, newest picture only, everything drawn here. No library, no inline code.

import { Painter, fit, heatOf, sharpen } from "./draw.js";
import { Strips } from "./strips.js";

const FLOOR_DBFS = -70;
const STALLED_MS = 1500;
const LATE_MS = 2000; // pictures that old when they are drawn here are not called live
const STRIPS_MS = 60; // the strips move slowly: no need to draw them with each picture
const CAPTIONS = { silent: "silent", unseen: "heard, not in view", seen: "heard, in view" };
const DROP_WORDS = {
  superseded: "superseded", corrupt_frame: "corrupt", audio_gap: "sound gaps", no_audio: "without sound",
  sink_busy: "sink busy", stopped: "stopped",
};

const $ = (id) => document.getElementById(id);
const canvas = $("picture");
const painter = new Painter();
const strips = new Strips($("spectrum"), $("timeline"));
const options = { heat: true, boxes: true, opacity: 1 };
const view = { bitmap: null, result: null, info: null, paused: false, dirty: false, lastAt: 0, ended: false, hold: -120, holdAt: 0, late: false, received: 0, shown: 0, stripsAt: 0 };

// ---- connection -----------------------------------------------------------------------------------------------

let retryMs = 250;

function connect() {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
  socket.binaryType = "arraybuffer";
  socket.onmessage = (event) => (typeof event.data === "string" ? onText(JSON.parse(event.data)) : onBinary(socket, event.data));
  socket.onclose = () => {
    if (view.ended) return;
    setLink("lost", "Connection lost. Trying again\u2026");
    setTimeout(connect, retryMs);
    retryMs = Math.min(retryMs * 2, 4000);
  };
}

function onText(message) {
  if (message.type === "hello") {
    retryMs = 250;
    view.info = message.info;
    view.lastAt = 0;
    painter.scale = message.heat;
    strips.configure(message.sound, message.heat.colors);
    $("source").textContent = message.info.source;
    setLink("waiting", "Waiting for the first picture\u2026");
  } else if (message.type === "viewer") {
    $("skipped").textContent = message.skipped;
    $("viewers").textContent = message.viewers;
    view.late = message.screen_ms > LATE_MS;
    $("screen").textContent = message.screen_ms === null ? "\u2013" : Math.round(message.screen_ms);
  } else if (message.type === "end") {
    view.ended = true;
    setLink("ended", "The session has ended.");
  }
}

function onBinary(socket, data) {
  const bytes = new DataView(data);
  if (bytes.getUint8(0) === 2) {
    if (!view.paused) strips.addSound(bytes.getFloat64(1, true), new Uint8Array(data, 9));
    view.dirty = true;
    return;
  }
  const length = bytes.getUint32(1, true);
  const result = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 5, length)));
  const order = (view.received += 1);
  createImageBitmap(new Blob([new Uint8Array(data, 5 + length)], { type: "image/jpeg" })).then(
    (bitmap) => show(socket, bitmap, result, order),
    () => socket.send("a"), // a picture that cannot be decoded is left out, the next one comes
  );
}

function show(socket, bitmap, result, order) {
  view.lastAt = performance.now();
  if (!view.ended) setLink(view.late ? "late" : "live", ""); // a picture may be decoded after the farewell came
  if (view.paused || order < view.shown) {
    bitmap.close(); // two decodes run at once and may finish in the wrong order: never show the older one last
  } else {
    view.shown = order;
    view.bitmap?.close();
    view.bitmap = bitmap;
    view.result = result;
    painter.update(result);
    strips.addResult(result.t_ms, result.confidence, result.state);
    showNumbers(result);
    view.dirty = true;
  }
  requestAnimationFrameOrNow(() => socket.readyState === WebSocket.OPEN && socket.send("a"));
}

/** Acknowledge with the next drawn frame; a hidden page draws none, and must not look stuck. */
function requestAnimationFrameOrNow(then) {
  if (document.hidden) then();
  else requestAnimationFrame(then);
}

// ---- words and numbers ----------------------------------------------------------------------------------------

function setLink(state, notice) {
  if (document.body.dataset.link !== state) {
    document.body.dataset.link = state;
    $("link").textContent = { live: "live", late: "late", waiting: "waiting", stalled: "no picture", lost: "offline", ended: "ended" }[state] ?? state;
  }
  if ($("notice").textContent !== notice) $("notice").textContent = notice;
  $("notice").hidden = !notice;
}

function setText(id, text) {
  const element = $(id);
  if (element.textContent !== text) element.textContent = text;
}

function signed(value) {
  const whole = Math.round(value);
  return (whole < 0 ? "\u2212" : "") + Math.abs(whole);
}

function fraction(dbfs) {
  return Math.min(1, Math.max(0, (dbfs - FLOOR_DBFS) / -FLOOR_DBFS));
}

function setBar(id, share) {
  $(id).style.clipPath = `inset(0 ${(100 * (1 - share)).toFixed(1)}% 0 0 round 99px)`;
}

function setMark(id, share) {
  $(id).style.left = `calc(${(100 * share).toFixed(1)}% - 1px)`;
  $(id).style.visibility = share > 0 ? "visible" : "hidden";
}

function showNumbers(result) {
  $("state").dataset.state = result.state;
  setText("caption", CAPTIONS[result.state]);
  setText("confidence", result.confidence.toFixed(2));
  setBar("confidence-bar", result.confidence);
  setText("level", result.level_dbfs > -100 ? `${signed(result.level_dbfs)} dBFS` : "no sound");
  setBar("level-bar", fraction(result.level_dbfs));
  if (result.level_dbfs >= view.hold || result.t_ms - view.holdAt > 1200 || result.t_ms < view.holdAt) {
    view.hold = result.level_dbfs;
    view.holdAt = result.t_ms;
  }
  setMark("level-hold", fraction(view.hold));
  setMark("level-gate", fraction(view.info?.thresholds?.audible_on_dbfs ?? FLOOR_DBFS));
  setText("age", result.age_ms.toFixed(result.age_ms < 10 ? 1 : 0));
  setText("skew", signed(result.av_skew_ms));
  setText("fps", result.fps.toFixed(1));
  setText("frame", String(result.frame_index));
  const drops = Object.entries(result.drops).filter(([, count]) => count > 0);
  setText("drops", String(drops.reduce((sum, [, count]) => sum + count, 0)));
  showDetail(result, drops);
  setText("size", result.image_size_px.join("\u00d7"));
  setText("engine", [result.provider.replace("ExecutionProvider", ""), result.precision].filter(Boolean).join(" \u00b7 "));
  const peak = Math.max(...result.similarity_map.flat());
  setText("similarity", peak.toFixed(2));
  setText("threshold", result.box_threshold.toFixed(2));
}

function showDetail(result, drops) {
  const words = drops.map(([reason, count]) => `${DROP_WORDS[reason] ?? reason} ${count}`);
  const flags = result.flags.map((flag) => flag.replaceAll("_", " "));
  setText("detail", [...flags, ...words].join(" \u00b7 "));
  $("detail").classList.toggle("warn", flags.length > 0);
}

// ---- drawing --------------------------------------------------------------------------------------------------

function tick() {
  if (sharpen(canvas)) view.dirty = true;
  if (view.dirty) {
    view.dirty = false;
    drawPicture();
    if (performance.now() - view.stripsAt > STRIPS_MS) {
      view.stripsAt = performance.now();
      strips.draw();
      drawCells();
    }
  }
  const silentMs = performance.now() - view.lastAt;
  if (view.lastAt && silentMs > STALLED_MS && ["live", "late", "stalled"].includes(document.body.dataset.link)) {
    setLink("stalled", `No new picture for ${Math.floor(silentMs / 1000)} s`);
  }
  requestAnimationFrame(tick);
}

function drawPicture() {
  if (!view.bitmap) return;
  const { width, height } = view.bitmap;
  document.querySelector(".stage").style.setProperty("--aspect", `${width} / ${height}`);
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  painter.paint(context, view.bitmap, view.result, fit(width, height, canvas.width, canvas.height), options);
}

/** The raw cells, one square each, coloured even when the heat over the picture is faded out. */
function drawCells() {
  if (!view.result || !painter.scale) return;
  const map = view.result.similarity_map;
  const cells = $("cells");
  cells.width = map[0].length;
  cells.height = map.length;
  const context = cells.getContext("2d");
  const image = context.createImageData(cells.width, cells.height);
  map.flat().forEach((value, i) => {
    const step = Math.round(255 * heatOf(value, view.result.stops));
    const share = 0.1 + 0.9 * Math.min(1, step / 64);
    painter.scale.colors[step].forEach((part, k) => (image.data[4 * i + k] = part * share));
    image.data[4 * i + 3] = 255;
  });
  context.putImageData(image, 0, 0);
}

// ---- controls -------------------------------------------------------------------------------------------------

function togglePause() {
  view.paused = !view.paused;
  $("pause").setAttribute("aria-pressed", String(view.paused));
  $("pause").firstElementChild.textContent = view.paused ? "Resume" : "Pause";
  $("paused").hidden = !view.paused;
}

function toggle(name) {
  options[name] = !options[name];
  $(name).setAttribute("aria-pressed", String(options[name]));
  view.dirty = true;
}

function setOpacity(percent) {
  const value = Math.min(100, Math.max(0, percent));
  options.opacity = value / 100;
  $("opacity").value = value;
  $("opacity-value").textContent = `${value} %`;
  view.dirty = true;
}

/** Save what is seen, at the picture's own size. */
function snapshot() {
  if (!view.bitmap) return;
  const copy = document.createElement("canvas");
  copy.width = view.bitmap.width;
  copy.height = view.bitmap.height;
  const area = { x: 0, y: 0, width: copy.width, height: copy.height };
  painter.paint(copy.getContext("2d"), view.bitmap, view.result, area, options);
  copy.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `lvs_${String(view.result.frame_index).padStart(6, "0")}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }, "image/png");
}

const KEYS = {
  " ": togglePause, k: togglePause, s: snapshot, h: () => toggle("heat"), b: () => toggle("boxes"),
  "+": () => setOpacity(100 * options.opacity + 5), "-": () => setOpacity(100 * options.opacity - 5),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const action = KEYS[event.key.toLowerCase()];
  if (!action || (event.key === " " && event.target instanceof HTMLButtonElement)) return; // a button's own Space
  event.preventDefault();
  action();
});
$("pause").addEventListener("click", togglePause);
$("snapshot").addEventListener("click", snapshot);
$("heat").addEventListener("click", () => toggle("heat"));
$("boxes").addEventListener("click", () => toggle("boxes"));
$("opacity").addEventListener("input", (event) => setOpacity(Number(event.target.value)));

connect();
requestAnimationFrame(tick);
