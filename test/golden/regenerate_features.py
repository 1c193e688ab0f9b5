#!/usr/bin/env python3
"""Regenerates test/golden/features/*.json: reference values of the waveform features from NumPy and SciPy.

    python3 test/golden/regenerate_features.py && npx prettier --write test/golden/features

The tests read the JSON only. Signals are quantised to 16 bits and stored, so both sides start from the same numbers. Values come from
SciPy's own functions where it has one (kurtosis, skew, welch, hilbert), else from the definition, written here in another way than in
TypeScript (full length transforms, no decimation) wherever the two must agree.
"""

import base64
import json
import pathlib

import numpy as np
import scipy
from scipy import signal, stats

OUT = pathlib.Path(__file__).parent / "features"
STANDARD_GRAVITY = 9.80665
# The bearing of shared design's test vector: 6205.
BEARING = {"elements": 9, "elementDiameterMm": 7.94, "pitchDiameterMm": 39.04}


def next_even_smooth(length):
    candidate = length + length % 2
    while True:
        rest = candidate
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return candidate
        candidate += 2


def band_rms(x, rate, edges):
    """RMS in bands from the periodogram with a Hann window; sums of the one-sided density times the line width."""
    size = next_even_smooth(len(x))
    f, density = signal.periodogram(x - x.mean(), rate, window="hann", nfft=size, detrend=False, scaling="density")
    power = density * (rate / size)
    edges = [e for e in edges if e < rate / 2] + [np.inf]
    return {f"{lo}": float(np.sqrt(power[(f >= lo) & (f < hi)].sum())) for lo, hi in zip(edges[:-1], edges[1:])}, f, power


def velocity_rms(f, power, factor_to_mm, low, high, integrate):
    inside = (f >= low) & (f <= high) & (f > 0)
    angular = 2 * np.pi * f[inside] if integrate else 1.0
    return float(factor_to_mm * np.sqrt((power[inside] / angular**2).sum()))


def spectral_kurtosis(x, low_line, lines):
    """E|z|^4 / E|z|^2 ^2 - 2 of the complex envelope of a band at its own bandwidth."""
    size = next_even_smooth(len(x))
    transform = np.fft.rfft(x - x.mean(), size)
    points = next_even_smooth(lines)
    z = np.fft.ifft(transform[low_line : low_line + lines], points)[: points * len(x) // size]
    power = np.abs(z) ** 2
    return float((power**2).mean() / power.mean() ** 2 - 2)


def envelope(x, rate, low, high):
    """Envelope at the full rate by SciPy's Hilbert transform of the ideally band-passed signal, and its Hann amplitude spectrum."""
    size = next_even_smooth(len(x))
    padded = np.zeros(size)
    padded[: len(x)] = x - x.mean()
    transform = np.fft.rfft(padded)
    line = np.round(np.arange(len(transform)) * rate / size, 9)
    transform[(line < low) | (line >= high)] = 0
    magnitude = np.abs(signal.hilbert(np.fft.irfft(transform, size)))[: len(x)]
    ac = magnitude - magnitude.mean()
    f, power = signal.periodogram(ac, rate, window="hann", nfft=size, detrend=False, scaling="spectrum")
    return magnitude, f, np.sqrt(2 * power)


def defect_lines(magnitude, rate, rpm, samples, highest, kinds):
    """Harmonics and sidebands of the bearing's defects in the envelope's periodogram, as energy of a Hann window's main lobe.

    The slip is common to a family: the ratio at which all of its harmonics are there, the one of the largest product, is taken from a dense
    sweep. `highest` bounds the frequencies. A frequency, or a distance of sidebands, below four resolutions is not told apart: null or none.
    Of the `kinds` that are in the signal only: what noise shows at the others depends on which of several equal ratios a sweep meets first.
    """
    size = next_even_smooth(samples)
    f, density = signal.periodogram(magnitude - magnitude.mean(), rate, window="hann", nfft=size, detrend=False, scaling="density")
    power = density[f < highest - 1e-6] * (rate / size)
    f = f[: len(power)]
    step, shaft, smallest = rate / size, rpm / 60, 4 * rate / samples
    r = BEARING["elementDiameterMm"] / BEARING["pitchDiameterMm"]
    n = BEARING["elements"]
    ftf = shaft / 2 * (1 - r)
    families = {
        "bpfo": (n / 2 * shaft * (1 - r), None),
        "bpfi": (n / 2 * shaft * (1 + r), shaft),
        "2xbsf": (shaft / r * (1 - r * r), ftf),
        "ftf": (ftf, None),
    }

    def tone(at):
        near = (np.abs(f - at) <= step * (1 + 1e-9)) | (np.abs(f - at) == np.abs(f - at).min())
        peak = f[near][power[near].argmax()]
        lobe = np.abs(f - peak) <= np.ceil(2 * size / samples) * step * (1 + 1e-9)
        return float(peak), float(np.sqrt(2 * power[lobe].sum()))

    found = {}
    for kind in kinds:
        frequency, modulation = families[kind]
        if frequency < smallest:
            found[kind] = None
            continue
        ratios = np.linspace(0.97, 1.03, 20001)
        lines = np.round(np.outer(ratios, np.arange(1, 5) * frequency) / step).astype(int)
        inside = lines < len(power)
        presence = np.where(inside, np.log(power[np.where(inside, lines, 0)]), 0).sum(axis=1)
        best = np.flatnonzero(presence == presence.max())
        ratio = ratios[best[len(best) // 2]]
        family = []
        for h in range(1, 5):
            if h * frequency * ratio > f[-1]:
                break
            family.append([h, 0, *tone(h * frequency * ratio)])
        if modulation is not None and modulation >= smallest:
            for h, _, centre, _ in list(family):
                for s in (-2, -1, 1, 2):
                    if modulation <= centre + s * modulation <= f[-1]:
                        family.append([h, s, *tone(centre + s * modulation)])
        sidebands = [a for _, s, _, a in family if s != 0]
        found[kind] = {
            "amplitude": float(np.sqrt(sum(a * a for _, s, _, a in family if s == 0))),
            "sidebandAmplitude": float(np.sqrt(sum(a * a for a in sidebands))) if sidebands else None,
            "lines": family,
        }
    return found


def case(name, codes, scale, rate, unit, rpm, band, segment, defects=()):
    x = codes.astype(np.float64) * scale
    mean = x.mean()
    c = x - mean
    rms = float(np.sqrt((c**2).mean()))
    peak = float(np.abs(c).max())
    mean_abs = float(np.abs(c).mean())
    bands, f, power = band_rms(x, rate, [10, 100, 500, 1000, 2500, 5000, 10000, 20000])
    to_mm = {"g": 1000 * STANDARD_GRAVITY, "m/s2": 1000.0, "mm/s": 1.0}[unit]
    fw, pw = signal.welch(c, rate, window="hann", nperseg=segment, noverlap=segment // 2, detrend=False, scaling="spectrum")
    ff, pf = signal.welch(c, rate, window="flattop", nperseg=segment, noverlap=segment // 2, detrend=False, scaling="spectrum")
    amplitude = np.sqrt(2 * pw)
    amplitude[[0, -1]] /= np.sqrt(2)
    flat = np.sqrt(2 * pf)
    flat[[0, -1]] /= np.sqrt(2)
    magnitude, fe, env = envelope(x, rate, *band)
    size = next_even_smooth(len(x))
    line_hz = rate / size
    first, lines = round(band[0] / line_hz), round((band[1] - band[0]) / line_hz)
    strongest = sorted(range(4, lines), key=lambda k: -env[k])[:8]
    lowest = 2 if rpm < 600 else 10
    result = {
        "generator": f"test/golden/regenerate_features.py with NumPy {np.__version__} and SciPy {scipy.__version__}",
        "waveform": {
            "codes": base64.b64encode(codes.astype("<i2").tobytes()).decode(),
            "scale": scale,
            "sampleRateHz": rate,
            "unit": unit,
            "rpm": rpm,
        },
        "bearing": BEARING,
        "zeroPaddedTo": size,
        "time": {
            "mean": float(mean),
            "rms": rms,
            "peak": peak,
            "peak_to_peak": float(np.ptp(x)),
            "crest_factor": peak / rms,
            "kurtosis": float(stats.kurtosis(x, fisher=False)),
            "skewness": float(stats.skew(x)),
            "shape_factor": rms / mean_abs,
            "impulse_factor": peak / mean_abs,
        },
        "bandRmsFromHz": bands,
        "velocityRmsMmPerS": velocity_rms(f, power, to_mm, lowest, 1000, unit != "mm/s") if len(x) / rate * lowest >= 4 else None,
        "amplitude": {
            "segmentSamples": segment,
            "overlap": 0.5,
            "stepHz": float(fw[1]),
            "hann": [float(v) for v in amplitude[:: max(1, len(amplitude) // 64)]],
            "flatTop": [float(v) for v in flat[:: max(1, len(flat) // 64)]],
            "every": max(1, len(amplitude) // 64),
        },
        "envelope": {
            "bandHz": band,
            "spectralKurtosis": spectral_kurtosis(x, first, lines),
            "mean": float(magnitude.mean()),
            "rms": float(magnitude.std()),
            "stepHz": float(fe[1]),
            "strongest": [[k, float(env[k])] for k in strongest],
            "defects": defect_lines(magnitude, rate, rpm, len(x), band[1] - band[0], defects),
        },
    }
    (OUT / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")


def bearing_signal(n, rate, rpm, order, resonance, severity, rng, modulation):
    """Impacts at a defect order that ring a resonance, with a jitter of 1 %, modulated at another order: the shaft's (1) on the inner race, the cage's on a ball."""
    t = np.arange(n) / rate
    x = 0.08 * rng.standard_normal(n) + 0.2 * np.sin(2 * np.pi * rpm / 60 * t + 0.4)
    at = 0.0013
    while at < t[-1]:
        load = 1 + 0.8 * np.cos(2 * np.pi * modulation * rpm / 60 * at) if modulation else 1.0
        since = t - at
        ring = np.where(since >= 0, np.exp(-900 * since) * np.sin(2 * np.pi * resonance * since), 0)
        x += severity * load * ring
        at += (1 + 0.01 * rng.standard_normal()) / (order * rpm / 60)
    return x


def quantised(x, scale):
    return np.clip(np.round(x / scale), -32768, 32767).astype(np.int64)


def main():
    OUT.mkdir(exist_ok=True)
    rng = np.random.default_rng(20816)
    outer = bearing_signal(4096, 25600, 1797, 3.585, 3400, 0.6, rng, 0)
    case("outer-race-4096", quantised(outer, 0.0005), 0.0005, 25600, "g", 1797, [2500, 4500], 1024, ["bpfo", "ftf"])
    inner = bearing_signal(2999, 12000, 1772, 5.415, 2900, 0.5, rng, 1)
    # 2999 is prime: both sides pad it with one zero.
    case("inner-race-2999", quantised(inner + 0.3, 0.0005), 0.0005, 12000, "g", 1772, [2000, 4000], 500, ["bpfi", "ftf"])
    t = np.arange(4096) / 4096
    unbalance = 2.2 * np.sin(2 * np.pi * 24.7 * t) + 0.7 * np.sin(2 * np.pi * 49.4 * t + 1) + 0.3 * rng.standard_normal(4096)
    case("unbalance-m-s2", quantised(unbalance + 0.05 * t, 0.0002), 0.0002, 4096, "m/s2", 1482, [512, 1536], 2048)
    slow = 3.1 * np.sin(2 * np.pi * 6.1 * t * 2) + 0.4 * rng.standard_normal(4096)
    case("slow-mm-s", quantised(slow, 0.001), 0.001, 2048, "mm/s", 366, [256, 768], 4096)
    # Long enough to tell the cage's sidebands apart.
    ball = bearing_signal(8192, 12000, 1730, 4.713, 3100, 0.7, rng, 0.398)
    case("ball-8192", quantised(ball, 0.0005), 0.0005, 12000, "g", 1730, [2200, 4200], 2048, ["2xbsf", "ftf"])


if __name__ == "__main__":
    main()
