"""The sounds: one function a class, each synthesising an individual of its class, mono at 16 kHz.

Each class has its own kind of time-frequency picture: bell = ringing inharmonic lines, drum = low thumps, siren =
sweeping harmonics, engine = dense low pulses, bird = quick high chirps, voice = moving formants, clock = dry ticks,
kettle = a steady high whistle over hiss. Pitch, tempo and timbre vary widely inside each.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
Wave = npt.NDArray[np.float32]
Curve = npt.NDArray[np.float64]
TWO_PI = np.float32(2 * np.pi)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _sine(cycles: Curve) -> Wave:
    """Sine of a phase in cycles; wrapped in float64 first, so long sounds keep their purity."""
    return np.asarray(np.sin((cycles - np.floor(cycles)).astype(np.float32) * TWO_PI), np.float32)


def _curve(num_samples: int, step_s: float, points: npt.ArrayLike) -> Curve:
    """Points every `step_s` joined to a line, one value a sample."""
    values = np.asarray(points, np.float64)
    return np.interp(np.arange(num_samples), np.arange(values.size) * step_s * SAMPLE_RATE, values)


def _knots(rng: np.random.Generator, num_samples: int, step_s: float, low: float, high: float) -> Curve:
    return _curve(num_samples, step_s, rng.uniform(low, high, int(num_samples / SAMPLE_RATE / step_s) + 2))


def _add(out: Wave, at: int, event: Wave, gain: float) -> None:
    """Add `event` into `out` from sample `at`, cut at the end."""
    n = min(event.size, out.size - at)
    if n > 0:
        out[at : at + n] += np.float32(gain) * event[:n]


def _tone(freq_hz: float, decay_s: float, num_samples: int) -> Wave:
    """A dying sine."""
    t = np.arange(num_samples) / SAMPLE_RATE
    return _sine(freq_hz * t) * np.exp((-t / decay_s).astype(np.float32))


def bell(rng: np.random.Generator, num_samples: int) -> Wave:
    """Strikes with inharmonic partials that ring on."""
    base, period, ring = _log_uniform(rng, 320, 1100), rng.uniform(0.32, 0.8), rng.uniform(0.25, 0.9)
    ratios = np.array([0.5, 1.0, 1.19, 1.5, 2.0, 2.74, 3.76, 5.4]) * rng.normal(1.0, 0.02, 8)
    gains = np.array([0.5, 1.0, 0.6, 0.35, 0.8, 0.5, 0.35, 0.2]) * rng.uniform(0.4, 1.4, 8)
    strike = np.zeros(int(1.6 * SAMPLE_RATE), np.float32)
    for ratio, gain in zip(ratios, gains, strict=True):
        if base * ratio < 7500:
            strike += np.float32(gain) * _tone(base * ratio, ring / (0.6 + 0.4 * ratio), strike.size)
    out = np.zeros(num_samples, np.float32)
    at = -rng.uniform(0, 0.25) * period
    while at * SAMPLE_RATE < num_samples:
        start = int(at * SAMPLE_RATE)
        _add(out, max(start, 0), strike[max(-start, 0) :], rng.uniform(0.6, 1.0))
        at += period * rng.uniform(0.94, 1.06)
    return out


def drum(rng: np.random.Generator, num_samples: int) -> Wave:
    """A rhythm of low hits whose pitch falls, with a rattle of noise."""
    step, base = rng.uniform(0.09, 0.15), _log_uniform(rng, 60, 170)
    hits: list[Wave] = []
    for factor, rattle in ((1.0, rng.uniform(0.05, 0.3)), (rng.uniform(1.3, 1.9), rng.uniform(0.2, 0.9))):
        size, decay = int(0.35 * SAMPLE_RATE), rng.uniform(0.05, 0.12)
        t = np.arange(size) / SAMPLE_RATE
        fall = rng.uniform(0.015, 0.04)
        cycles = base * factor * (t + rng.uniform(1.0, 2.5) * fall * (1 - np.exp(-t / fall)))
        noise = rng.standard_normal(size, dtype=np.float32) * np.exp(-t / rng.uniform(0.015, 0.06)).astype(np.float32)
        hits.append(_sine(cycles) * np.exp(-t / decay).astype(np.float32) + np.float32(0.4 * rattle) * noise)
    pattern = rng.random(8) < rng.uniform(0.35, 0.7)
    pattern[::4] = True
    which = rng.integers(0, 2, 8)
    out, k = np.zeros(num_samples, np.float32), int(rng.integers(8))
    at = rng.uniform(0, 0.5) * step
    while at * SAMPLE_RATE < num_samples:
        if pattern[k % 8]:
            _add(out, int(at * SAMPLE_RATE), hits[which[k % 8]], rng.uniform(0.55, 1.0))
        at, k = at + step, k + 1
    return out


def siren(rng: np.random.Generator, num_samples: int) -> Wave:
    """A loud tone that wails, yelps or steps between two pitches."""
    low = _log_uniform(rng, 420, 800)
    high, mode = low * rng.uniform(1.4, 2.2), int(rng.integers(3))
    rate = (rng.uniform(0.3, 0.8), rng.uniform(1.8, 4.0), rng.uniform(0.7, 1.6))[mode]
    turn = np.arange(num_samples) / SAMPLE_RATE * rate + rng.random()
    turn -= np.floor(turn)
    if mode == 2:
        sweep = np.clip((np.abs(turn - 0.5) - 0.25) * 40, -0.5, 0.5) + 0.5
    else:
        rise = rng.uniform(0.4, 0.75)
        sweep = np.where(turn < rise, turn / rise, (1 - turn) / (1 - rise))
    cycles = np.cumsum(low + (high - low) * sweep) / SAMPLE_RATE
    drive = np.float32(rng.uniform(1.2, 4.0))
    tone = np.tanh(drive * (_sine(cycles) + np.float32(rng.uniform(0, 0.4)) * _sine(2 * cycles)))
    return np.asarray(tone, np.float32)


def engine(rng: np.random.Generator, num_samples: int) -> Wave:
    """Firing strokes of a motor, low and dense, with revs that rise and fall."""
    idle = _log_uniform(rng, 24, 70)
    speed = idle * _knots(rng, num_samples, rng.uniform(0.3, 0.9), 1.0, rng.uniform(1.1, 1.9))
    cycles = np.cumsum(speed) / SAMPLE_RATE
    stroke = np.floor(cycles)
    phase = (cycles - stroke).astype(np.float32)
    cylinder = rng.uniform(0.5, 1.0, 4).astype(np.float32)[stroke.astype(np.int64) % 4]
    pulse = np.exp(np.float32(rng.uniform(10, 40)) * (np.cos(phase * TWO_PI) - 1)) * cylinder
    buzz = _sine(cycles * round(rng.uniform(3, 9))) * np.exp(-phase * np.float32(rng.uniform(2, 6)))
    air = rng.standard_normal(num_samples + 8, dtype=np.float32)
    air = np.convolve(air, np.full(9, 1 / 9, np.float32), "valid") * (0.3 + pulse)
    out = pulse + np.float32(rng.uniform(0.2, 0.7)) * buzz + np.float32(rng.uniform(0.2, 0.7)) * air
    return np.asarray(out - out.mean(), np.float32)


def bird(rng: np.random.Generator, num_samples: int) -> Wave:
    """Phrases of short chirps that glide, high up."""
    centre, rate = _log_uniform(rng, 2300, 5200), rng.uniform(5, 13)
    motif: list[Wave] = []
    for _ in range(int(rng.integers(1, 5))):
        size = int(SAMPLE_RATE * rng.uniform(0.35, 0.85) / rate)
        t = np.linspace(0, 1, size)
        glide = rng.uniform(-0.3, 0.3) * (2 * t - 1) + rng.uniform(-0.25, 0.25) * np.sin(np.pi * t)
        trill = rng.uniform(0, 0.08) * np.sin(2 * np.pi * t * rng.uniform(2, 8))
        freq = np.clip(centre * rng.uniform(0.8, 1.25) * (1 + glide + trill), 1500, 7400)
        chirp = _sine(np.cumsum(freq) / SAMPLE_RATE) * np.sin(np.pi * t).astype(np.float32) ** np.float32(0.6)
        motif.append(np.asarray(chirp, np.float32))
    out, k, at = np.zeros(num_samples, np.float32), 0, rng.uniform(0, 0.1)
    phrase = int(rng.integers(3, 10))
    while at * SAMPLE_RATE < num_samples:
        _add(out, int(at * SAMPLE_RATE), motif[k % len(motif)], rng.uniform(0.6, 1.0))
        k += 1
        at += 1 / rate + (rng.uniform(0.08, 0.35) if k % phrase == 0 else 0.0)
    return out


VOWELS_HZ = np.array(  # the first three formants of a, i, u, e, o, ae
    [[730, 1090, 2440], [270, 2290, 3010], [300, 870, 2240], [530, 1840, 2480], [570, 840, 2410], [660, 1720, 2410]]
)


def voice(rng: np.random.Generator, num_samples: int) -> Wave:
    """Speech-like babble: a glottal pulse train through formants that move from vowel to vowel, in syllables."""
    syllable = 1 / rng.uniform(2.8, 6.0)
    count = int(num_samples / SAMPLE_RATE / syllable) + 3
    pitch = _log_uniform(rng, 85, 270) * _curve(num_samples, syllable, rng.uniform(0.82, 1.22, count))
    cycles = np.cumsum(pitch) / SAMPLE_RATE
    since_s = ((cycles - np.floor(cycles)) / pitch).astype(np.float32)  # time since the last glottal pulse
    vowels = VOWELS_HZ[rng.integers(0, len(VOWELS_HZ), count)] * rng.uniform(0.85, 1.2)
    out = np.zeros(num_samples, np.float32)
    for k, (gain, width_hz) in enumerate(((1.0, 70), (0.55, 100), (0.3, 140))):
        formant = _curve(num_samples, syllable, vowels[:, k]).astype(np.float32)
        ring = np.exp(since_s * np.float32(-np.pi * width_hz)) * np.sin(TWO_PI * formant * since_s)
        out += np.float32(gain * rng.uniform(0.6, 1.3)) * ring
    beat = np.arange(num_samples) / SAMPLE_RATE / syllable
    share = (beat - np.floor(beat)).astype(np.float32)
    stress = rng.uniform(0.5, 1.0, count).astype(np.float32)[beat.astype(np.int64)]
    open_mouth = np.clip(np.minimum(share * 6, (1 - share) * np.float32(rng.uniform(2.5, 5))), 0.0, 1.0)
    hiss = np.diff(rng.standard_normal(num_samples + 1, dtype=np.float32))
    consonant = np.clip(1 - np.abs(share - 0.04) * 14, 0, 1) * (rng.random(count) < 0.6)[beat.astype(np.int64)]
    return np.asarray(out * open_mouth * stress + np.float32(rng.uniform(0.05, 0.2)) * hiss * consonant, np.float32)


def clock(rng: np.random.Generator, num_samples: int) -> Wave:
    """Tick, tock: dry clicks at an even pace."""
    period, base = rng.uniform(0.2, 0.46), _log_uniform(rng, 1300, 3200)
    clicks: list[Wave] = []
    for factor in (1.0, rng.uniform(0.62, 0.9)):
        click = np.zeros(1600, np.float32)
        for ratio in (1.0, rng.uniform(1.5, 1.9), rng.uniform(2.1, 2.7)):
            if base * factor * ratio < 7500:
                tone = _tone(base * factor * ratio, rng.uniform(0.003, 0.010), 1600)
                click += np.float32(rng.uniform(0.4, 1.0)) * tone
        burst = rng.standard_normal(160, dtype=np.float32) * np.exp(-np.arange(160, dtype=np.float32) / 24)
        _add(click, 0, burst, rng.uniform(0.2, 0.8))
        _add(click, int(rng.uniform(0.006, 0.02) * SAMPLE_RATE), click[:800].copy(), rng.uniform(0.1, 0.6))
        clicks.append(click)
    out, at, k = np.zeros(num_samples, np.float32), rng.uniform(0, 0.8) * period, int(rng.integers(2))
    while at * SAMPLE_RATE < num_samples:
        _add(out, int(at * SAMPLE_RATE), clicks[k % 2], rng.uniform(0.9, 1.0))
        at, k = at + period, k + 1
    return out


def kettle(rng: np.random.Generator, num_samples: int) -> Wave:
    """A boiling kettle: a steady whistle that flutters, over rushing steam."""
    freq = _log_uniform(rng, 1500, 3300) * _knots(rng, num_samples, 0.5, 0.985, 1.015)
    flutter_hz = rng.uniform(9, 28)
    t = np.arange(num_samples) / SAMPLE_RATE
    cycles = np.cumsum(freq) / SAMPLE_RATE + 0.3 * rng.random() * np.sin(2 * np.pi * flutter_hz * t) * freq[0] / 2000
    breath = 1 + np.float32(rng.uniform(0.1, 0.4)) * _sine(flutter_hz * t)
    whistle = _sine(cycles) + np.float32(rng.uniform(0.1, 0.5)) * _sine(2 * cycles)
    if freq.max() * 3 < 7600:
        whistle += np.float32(rng.uniform(0, 0.25)) * _sine(3 * cycles)
    steam = np.diff(rng.standard_normal(num_samples + 1, dtype=np.float32))
    return np.asarray(breath * whistle + np.float32(rng.uniform(0.08, 0.3)) * steam, np.float32)
