// Which model for the reader's question: as analysis/recommendation.py does it; a test holds them together.

const VARIATES_COUNT = 0.5;
const READABLE = ["repeat", "seasonal_naive", "dlinear", "tft"];

function recommend(knowledge, query) {
  const distances = knowledge.settings.map((one) => distance(one, query));
  const found = knowledge.models.map((model) => candidate(knowledge, model, query, distances));
  let fit = found.filter((one) => !one.against.length).sort((a, b) => a.error - b.error || byName(a, b));
  let tied = null;
  if (fit.length) {
    const level = fit.filter((one) => isLevel(fit[0], one));
    const rest = fit.slice(level.length);
    level.sort((a, b) => compareNumbers(latency(a), latency(b)) || a.error - b.error || byName(a, b));
    fit = [...level, ...rest];
    if (fit.length > 1) tied = isLevel(...fit.slice(0, 2).sort((a, b) => a.error - b.error));
  }
  const unfit = found.filter((one) => one.against.length).sort(byName);
  return { best: fit[0]?.model ?? null, second: fit[1]?.model ?? null, tied, candidates: [...fit, ...unfit] };
}

function byName(a, b) {
  return a.model < b.model ? -1 : a.model > b.model ? 1 : 0;
}

function compareNumbers(a, b) {
  return a === b ? 0 : a - b;
}

function latency(one) {
  return one.latency_ms === null ? Infinity : one.latency_ms.value;
}

function isLevel(better, other) {
  return other.error <= better.error * (1 + Math.sqrt(better.noise ** 2 + other.noise ** 2));
}

function candidate(knowledge, model, query, distances) {
  const [cells, far] = nearest(knowledge.settings, model, distances);
  const costs = knowledge.costs[query.device]?.[model] ?? {};
  const found = { model, cells, distance: far, error: null, low: null, high: null, noise: null };
  found.latency_ms = cost(costs.latency_ms, query);
  found.memory_mb = cost(costs.memory_mb, query);
  if (cells.length) {
    const scores = cells.map((i) => knowledge.settings[i].scores[model]);
    found.error = Math.exp(scores.reduce((sum, score) => sum + Math.log(score.error), 0) / scores.length);
    found.noise = Math.max(...scores.map((score) => score.noise));
    if (knowledge.rate !== null) {
      const factor = Math.exp(knowledge.rate * Math.max(1, far));
      found.low = found.error / factor;
      found.high = found.error * factor;
    }
  }
  found.against = against(model, found, query);
  return found;
}

function against(model, found, query) {
  const reasons = [];
  if (found.error === null) reasons.push({ reason: "not scored" });
  if (query.interpretable && !READABLE.includes(model)) reasons.push({ reason: "not readable" });
  const limits = [
    ["memory", found.memory_mb, query.memory_mb],
    ["latency", found.latency_ms, query.latency_ms],
  ];
  for (const [reason, came, wanted] of limits) {
    if (came !== null && wanted !== null && came.value > wanted) reasons.push({ reason, came: came.value, wanted });
  }
  return reasons;
}

function nearest(settings, model, distances) {
  const there = distances.map((far, i) => [far, i]).filter(([, i]) => model in settings[i].scores);
  if (!there.length) return [[], null];
  const least = Math.min(...there.map(([far]) => far));
  return [there.filter(([far]) => far <= least + 1e-9).map(([, i]) => i), least];
}

function distance(setting, query) {
  let found = Math.abs(Math.log2(setting.lookback / query.lookback));
  found += Math.abs(Math.log2(setting.horizon / query.horizon));
  if (setting.n_variates !== null) {
    found += VARIATES_COUNT * Math.abs(Math.log2(setting.n_variates / query.n_variates));
  }
  return found;
}
