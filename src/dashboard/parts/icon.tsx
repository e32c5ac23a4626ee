/** Drawn on a 16 px grid, 1.5 px strokes. */
const PATHS = {
  search: 'M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10ZM10.8 10.8 14 14',
  plus: 'M8 3.500v9M3.500 8h9',
  commit: 'M1.500 8H5M11 8h3.500M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6Z',
  file: 'M4 2h5l3 3v9H4zM9 2v3h3',
  close: 'M4 4l8 8M12 4l-8 8',
  check: 'M3.5 8.5 6.5 11.5 12.5 4.5',
  chevron: 'M6 4l4 4-4 4',
  down: 'M4 6l4 4 4-4',
  eye: 'M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8ZM8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z',
  'eye-off':
    'M3 3l10 10M6.2 3.8A6 6 0 0 1 8 3.5c4 0 6.5 4.5 6.5 4.5a12 12 0 0 1-2 2.5M4 5.200A11 11 0 0 0 1.5 8S4 12.5 8 12.5a6 6 0 0 0 2.5-.55',
  copy: 'M6 5.5h7v8H6zM10 5.5V2.5H3v8h3',
  columns: 'M2.5 3h11v10h-11zM6.2 3v10M9.8 3v10',
  filter: 'M2 4h12M4.5 8h7M6.5 12h3',
  group: 'M2.5 3.5h5v3h-5zM2.5 9.5h5v3h-5zM10.5 5h3M10.5 11h3',
  sun: 'M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.400l.7.7M11.9 11.900l.7.7M3.4 12.600l.7-.7M11.9 4.100l.7-.7',
  moon: 'M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7Z',
  help: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM6.3 6.300A1.8 1.8 0 1 1 8.6 8c-.4.2-.6.5-.6 1M8 11.200v.1',
  pin: 'M8 10v4M4.5 10h7L10 7V2.5H6V7Z',
  more: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
  download: 'M8 2.5v8M4.8 7.5 8 10.700l3.2-3.200M3 13.5h10',
  archive: 'M2.5 3h11v3h-11zM3.5 6v7h9V6M6.5 9h3',
  trash: 'M3 4.5h10M6 4.5V3h4v1.5M4.5 4.5l.5 9h6l.5-9',
  tag: 'M2.5 8.5v-6h6l5 5-6 6ZM5.5 5.5h.01',
  compare: 'M5 2.5v11M11 2.5v11M2.5 5.5h5M8.5 10.5h5',
  settings:
    'M2.5 4.5h5M10.5 4.5h3M2.5 11.5h3M8.5 11.5h5M9 6a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3ZM7 13a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3Z',
  reset: 'M3 8a5 5 0 1 1 1.5 3.5M3 13v-3h3',
  stop: 'M4.5 4.5h7v7h-7z',
  link: 'M6.5 9.5l3-3M7 5l1.5-1.5a2.8 2.8 0 0 1 4 4L11 9M9 11l-1.5 1.5a2.8 2.8 0 0 1-4-4L5 7',
  charts: 'M2.5 2.5v11h11M5 10l2.5-3 2 1.5L13 4.5',
  list: 'M2.5 4h11M2.5 8h11M2.5 12h11',
  play: 'M5 3.5v9l7-4.5Z',
  person: 'M8 8a2.75 2.75 0 1 0 0-5.500 2.75 2.75 0 0 0 0 5.500ZM2.8 13.500a5.2 5.2 0 0 1 10.400 0',
  key: 'M10.5 8.500a3 3 0 1 0-2.600-1.500L3 12v1.500h2V12h1.500v-1.500H8L9 9.300',
  share: 'M8 10V2.500M5 5.200l3-3 3 3M3 9v4.500h10V9',
  bookmark: 'M4 2.5h8v11L8 10.5l-4 3Z',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
