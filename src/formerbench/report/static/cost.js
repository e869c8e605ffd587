// Time and memory at a length that was not run: as prediction.predicted does it; a test holds them together.
"use strict";

function cost(curve, query) {
  if (curve === undefined) return null;
  let [value, octaves] = along(curve, query.lookback);
  if (curve.by_variates.length) {
    const [x, y] = [0, 1].map((axis) => curve.by_variates.map((point) => point[axis]));
    value *= Math.exp(interpolated(x, y, Math.log(query.n_variates)));
  }
  if (curve.rate === null) return { value, low: null, high: null };
  const factor = Math.exp(curve.rate * Math.max(curve.least_octaves, octaves));
  return { value, low: value / factor, high: value * factor };
}

function along(curve, lookback) {
  const { lengths, coefficients: [one, linear, logLinear, square], residuals } = curve;
  const longest = lengths[lengths.length - 1];
  const u = lookback / longest;
  const logs = (u * Math.log(lookback + 1)) / Math.log(longest + 1);
  const parts = one + linear * u + logLinear * logs + square * u * u;
  const octaves = Math.min(...lengths.map((length) => Math.abs(Math.log2(lookback / length))));
  const outside = lengths[0] <= lookback && lookback <= longest ? 0 : octaves;
  const residual = interpolated(lengths.map(Math.log), residuals, Math.log(lookback));
  return [parts * Math.exp(residual * 0.5 ** outside), octaves];
}

function interpolated(x, y, at) {
  if (at <= x[0]) return y[0];
  for (let i = 1; i < x.length; i++) {
    if (at <= x[i]) return y[i - 1] + ((y[i] - y[i - 1]) * (at - x[i - 1])) / (x[i] - x[i - 1]);
  }
  return y[y.length - 1];
}
