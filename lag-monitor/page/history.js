// How the partitions of each pair were at each poll: as many moments as the charts show. Where nothing was read there is nothing.

/** What the charts show, milliseconds. */
export const WINDOW = 5 * 60_000;

const pairs = new Map();

export const keyOf = ({ group_id, topic }) => JSON.stringify([group_id, topic]);

/** What the monitor knows of the time before. What we saw ourselves before that stays: it may have been started anew. */
export function seed(past) {
  for (const one of past.groups) {
    const moments = one.moments.map(({ timestamp, partitions }) => ({ at: Date.parse(timestamp), partitions }));
    const before = pairs.get(keyOf(one)) ?? [];
    const first = moments[0]?.at ?? Infinity;
    pairs.set(keyOf(one), before.filter(({ at }) => at < first).concat(moments));
  }
}

/** What has just been read. A pair that is gone is forgotten. */
export function add(state) {
  const at = Date.parse(state.timestamp);
  const there = new Set(state.groups.map(keyOf));
  for (const key of pairs.keys()) if (!there.has(key)) pairs.delete(key);
  for (const one of state.groups) {
    if (one.partitions === null) continue;
    const lags = Object.fromEntries(Object.entries(one.partitions).map(([number, { lag }]) => [number, lag]));
    const kept = (pairs.get(keyOf(one)) ?? []).filter((moment) => moment.at < at && moment.at >= at - 2 * WINDOW);
    kept.push({ at, partitions: lags });
    pairs.set(keyOf(one), kept);
  }
}

/** The moments of a pair, oldest first. */
export const of = (pair) => pairs.get(keyOf(pair)) ?? [];
