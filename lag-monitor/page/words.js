// Figures and states in words.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const TENTH = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** A sign and a word for each status: colour alone tells nobody who does not see it. */
export const STATUS = {
  ok: { sign: "✓", word: "ok", rank: 0 },
  unknown: { sign: "?", word: "unknown", rank: 1 },
  warning: { sign: "▲", word: "warning", rank: 2 },
  critical: { sign: "✖", word: "critical", rank: 3 },
};

/** Each rule in words, and the scenario in which to learn about it. */
const RULES = {
  no_members: ["nobody is in the group", "startup-race"],
  stopped: ["the members take nothing", "backpressure"],
  stalled: ["one partition stands still", "silent-stall"],
  rewound: ["offsets went back", "wrong-group"],
  lost_records: ["records were deleted unread", "backpressure"],
  falling_behind: ["falls behind", "consumer-lag"],
  hot_partition: ["one hot partition", "hot-partition"],
  above_critical: ["above the critical threshold", "consumer-lag"],
  above_warning: ["above the warning threshold", "consumer-lag"],
  more_consumers_than_partitions: ["more consumers than partitions", "partitions-and-consumers"],
  not_known: ["not known how far it has read", "wrong-group"],
  keeps_up: ["keeps up", null],
};

export const status = (name) => STATUS[name] ?? STATUS.unknown;
export const rule = (name) => RULES[name]?.[0] ?? name;
export const scenario = (name) => RULES[name]?.[1] ?? null;

/** A whole number with its thousands apart; a dash where nothing is known. */
export const count = (number) => (number === null || number === undefined ? "–" : WHOLE.format(number));

/** Records a second, without a sign. */
export const rate = (number) => (Math.abs(number) < 10 ? TENTH : WHOLE).format(Math.abs(number));

export function span(seconds) {
  if (seconds < 1) return "under 1 s";
  const whole = Math.round(seconds);
  if (whole < 120) return `${whole} s`;
  if (whole < 7200) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export const clock = (at) => new Date(at).toLocaleTimeString("en-GB");

/** Below this, in records a second, a lag that is measured twice only seems to move. */
const STEADY = 0.05;

/** Whether it grows or shrinks, as a direction and a sentence. */
export function trend(standing) {
  const { total_lag: lag, rate_of_change: change, time_to_drain_seconds: drain } = standing;
  if (lag === null) return { way: "none", words: "not known" };
  if (change === null) return { way: "none", words: "rate not known yet" };
  if (change > STEADY) return { way: "up", words: `↑ grows by ${rate(change)}/s` };
  if (lag === 0) return { way: "none", words: "caught up" };
  if (change < -STEADY) {
    const when = drain === null ? "" : `, caught up in ${span(drain)}`;
    return { way: "down", words: `↓ shrinks by ${rate(change)}/s${when}` };
  }
  return { way: "none", words: "→ neither grows nor shrinks" };
}
