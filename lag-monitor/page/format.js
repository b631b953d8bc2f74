// Numbers, durations, statuses and rules as text.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const TENTH = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** A sign and a word for each status, since colour alone is not accessible. A higher rank is worse. */
const STATUS = {
  ok: { sign: "✓", word: "ok", rank: 0 },
  unknown: { sign: "?", word: "unknown", rank: 1 },
  warning: { sign: "▲", word: "warning", rank: 2 },
  critical: { sign: "✖", word: "critical", rank: 3 },
};

/** The text for each rule, and the scenario that explains it. */
const RULES = {
  hanging_transaction: ["a transaction hangs", "hanging-transaction"],
  halted: ["a member has halted", "dead-letter"],
  blocked: ["blocked before a poison record", "silent-stall"],
  topic_missing: ["a topic does not exist", null],
  batch_failing: ["a batch fails and is retried", "connectivity"],
  paused: ["paused", "backpressure"],
  joining: ["a member has not joined the group", "startup-race"],
  no_members: ["the group has no members", "startup-race"],
  stopped: ["the members consume nothing", "backpressure"],
  stalled: ["a partition is stalled", "silent-stall"],
  rewound: ["the committed offsets were reset", "wrong-group"],
  lost_records: ["records were deleted before they were consumed", "retention-loss"],
  slow_member: ["a member is slow by its settings", "backpressure"],
  falling_behind: ["falling behind", "consumer-lag"],
  hot_partition: ["one hot partition", "hot-partition"],
  above_critical: ["above the critical threshold", "consumer-lag"],
  above_warning: ["above the warning threshold", "consumer-lag"],
  more_consumers_than_partitions: ["more consumers than partitions", "partitions-and-consumers"],
  not_known: ["the lag is unknown", "wrong-group"],
  keeps_up: ["keeps up", null],
};

export const status = (name) => STATUS[name] ?? STATUS.unknown;
export const ruleText = (name) => RULES[name]?.[0] ?? name;
export const scenarioOf = (name) => RULES[name]?.[1] ?? null;

/** A whole number with thousands separators; a dash for null. */
export const formatCount = (number) => (number === null || number === undefined ? "–" : WHOLE.format(number));

/** A number that is exact, or has two bounds: "902", "≥ 700, ≤ 1,628" or "≤ 1,628", as in the sentences of the monitor; a dash for unknown. */
function formatBounds(exact, atLeast, atMost) {
  if (exact !== null) return formatCount(exact);
  if (atMost === null) return "–";
  return atLeast === 0 ? `≤ ${formatCount(atMost)}` : `≥ ${formatCount(atLeast)}, ≤ ${formatCount(atMost)}`;
}

/** The lag of a group on a topic. */
export const formatTotalLag = ({ total_lag, total_lag_at_least, total_lag_at_most }) => formatBounds(total_lag, total_lag_at_least, total_lag_at_most);

/** The lag of a group on a partition. */
export const formatLag = ({ lag, lag_at_least, lag_at_most }) => formatBounds(lag, lag_at_least, lag_at_most);

/** The records of a partition that were deleted before the group read them. */
export const formatLost = ({ lost, lost_at_least, lost_at_most }) => formatBounds(lost, lost_at_least, lost_at_most);

/** The number of records of a loss. */
export const formatLoss = ({ records, records_at_least, records_at_most }) => formatBounds(records, records_at_least, records_at_most);

/** Records per second, without a sign. */
export const formatRate = (number) => (Math.abs(number) < 10 ? TENTH : WHOLE).format(Math.abs(number));

export function formatDuration(seconds) {
  if (seconds < 1) return "under 1 s";
  const whole = Math.round(seconds);
  if (whole < 120) return `${whole} s`;
  if (whole < 7200) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export const formatTime = (at) => new Date(at).toLocaleTimeString("en-GB");

/** Records per second. A smaller change is noise of the measurement, not a trend. */
const MIN_TREND = 0.05;

/** Whether the lag grows or shrinks, as a direction ("up", "down", "none") and a text. */
export function trend(groupTopic) {
  const { total_lag: lag, total_lag_at_most: most, rate_of_change: change, time_to_drain_seconds: drain } = groupTopic;
  if (most === null) return { direction: "none", text: "lag unknown" };
  if (change === null) return { direction: "none", text: "rate not known yet" };
  if (change > MIN_TREND) return { direction: "up", text: `↑ grows by ${formatRate(change)}/s` };
  if (lag === 0) return { direction: "none", text: "caught up" };
  if (change < -MIN_TREND) {
    const when = drain === null ? "" : `, caught up in ${formatDuration(drain)}`;
    return { direction: "down", text: `↓ shrinks by ${formatRate(change)}/s${when}` };
  }
  return { direction: "none", text: "→ constant" };
}
