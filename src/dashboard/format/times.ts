/** Times and durations as the page shows them. Seconds throughout. */

/** `0.4s`, `12s`, `3m 20s`, `2h 05m`, `3d 4h`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  const sign = seconds < 0 ? '−' : '';
  const size = Math.abs(seconds);
  if (size === 0) return '0s';
  if (size < 1) return `${sign}${Math.round(size * 1000)}ms`;
  if (size < 10) return `${sign}${Number(size.toFixed(1))}s`;
  const whole = Math.round(size);
  if (whole < 60) return `${sign}${whole}s`;
  const [days, hours, minutes] = [
    Math.floor(whole / 86_400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
  ];
  if (whole < 3600) return `${sign}${minutes}m${whole % 60 === 0 ? '' : ` ${pad(whole % 60)}s`}`;
  if (whole < 86_400) return `${sign}${hours}h${minutes === 0 ? '' : ` ${pad(minutes)}m`}`;
  return `${sign}${days}d${hours === 0 ? '' : ` ${hours}h`}`;
}

const pad = (value: number): string => String(value).padStart(2, '0');

/** `now`, `3m`, `2h`, `5d`, `8mo`, `2y`. */
export function formatSince(at: number, now: number): string {
  const seconds = now - at;
  if (seconds < 45) return 'now';
  if (seconds < 3570) return `${Math.max(1, Math.round(seconds / 60))}m`;
  if (seconds < 84_600) return `${Math.round(seconds / 3600)}h`;
  const days = Math.round(seconds / 86_400);
  if (days < 60) return `${days}d`;
  return days < 720 ? `${Math.round(days / 30.44)}mo` : `${Math.round(days / 365.25)}y`;
}

/** `now`, `3m ago`, `2h ago`, `5d ago`. */
export function formatAge(at: number, now: number): string {
  const since = formatSince(at, now);
  return since === 'now' ? since : `${since} ago`;
}

const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
/** Local date and time to the second. */
export const formatTime = (at: number): string => full.format(at * 1000);

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const seconds = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });

/** Local times of an axis, one line each: the day at midnight, else the clock. Epoch seconds. */
export function formatTimeTicks(ticks: readonly number[]): string[] {
  const step = (ticks[1] ?? 0) - (ticks[0] ?? 0);
  return ticks.map((tick) => {
    const date = new Date(tick * 1000);
    const midnight = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0;
    if (midnight || step >= 86_400) return day.format(date);
    return (step > 0 && step < 60 ? seconds : clock).format(date);
  });
}

const STEPS = [
  0.001, 0.01, 0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600,
  43_200,
];
/** Distances that ticks of a duration axis may have. */
export const DURATION_STEPS: readonly number[] = [
  ...STEPS,
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].map((days) => days * 86_400),
];
