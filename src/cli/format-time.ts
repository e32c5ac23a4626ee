/** How long something took, from seconds: `120ms`, `3.2s`, `45s`, `2m05s`, `1h02m`, `3d04h`. */
export function formatDuration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return '';
  const whole = Math.max(0, seconds);
  if (whole < 0.9995) return `${Math.round(whole * 1000)}ms`;
  if (whole < 9.95) return `${whole.toFixed(1)}s`;
  if (whole < 59.5) return `${Math.round(whole)}s`;
  const rounded = Math.round(whole);
  const [minutes, hours, days] = [
    Math.floor(rounded / 60),
    Math.floor(rounded / 3600),
    Math.floor(rounded / 86_400),
  ];
  const two = (number: number): string => String(number).padStart(2, '0');
  if (hours === 0) return `${minutes}m${two(rounded % 60)}s`;
  if (days === 0) return `${hours}h${two(minutes % 60)}m`;
  return `${days}d${two(hours % 24)}h`;
}

/** How long ago, from seconds: `now`, `12s`, `5m`, `3h`, `2d`, `7w`, `2y`. */
export function formatAge(seconds: number): string {
  // A clock that runs a little ahead is no news; one that runs far ahead is.
  if (seconds < -60) return `in ${formatAge(-seconds)}`;
  if (seconds < 1) return 'now';
  for (const [unit, size, limit] of [
    ['s', 1, 60],
    ['m', 60, 60],
    ['h', 3600, 48],
    ['d', 86_400, 60],
    ['w', 604_800, 104],
  ] as const) {
    if (seconds < size * limit) return `${Math.floor(seconds / size)}${unit}`;
  }
  return `${Math.floor(seconds / 31_557_600)}y`;
}

/** A moment in local time, from epoch seconds: `2026-11-23 14:57:19`. */
export function formatTime(epochSeconds: number): string {
  const date = new Date(epochSeconds * 1000);
  if (Number.isNaN(date.getTime())) return '';
  const two = (number: number): string => String(number).padStart(2, '0');
  return (
    `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ` +
    `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
  );
}
