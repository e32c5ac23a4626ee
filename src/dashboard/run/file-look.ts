/** How a file is looked at. Pure. */

export type Look = 'image' | 'audio' | 'video' | 'json' | 'table' | 'markdown' | 'page' | 'text' | 'none';

const BY_NAME: readonly [endings: RegExp, look: Look][] = [
  [/\.(png|jpe?g|gif|webp|avif|bmp|ico|svg)$/i, 'image'],
  [/\.(mp3|wav|ogg|flac|m4a)$/i, 'audio'],
  [/\.(mp4|webm|mov)$/i, 'video'],
  [/\.(json|ipynb|geojson)$/i, 'json'],
  [/\.(csv|tsv)$/i, 'table'],
  [/\.(md|markdown)$/i, 'markdown'],
  [/\.html?$/i, 'page'],
  [
    /\.(txt|log|jsonl|ya?ml|toml|ini|cfg|conf|py|ts|tsx|js|sh|rs|c|h|cpp|xml|sql|r|tex|rst|diff|patch)$/i,
    'text',
  ],
];

/** By its name, else by the type that the job gave. */
export function lookOfFile(name: string, mime: string | null): Look {
  const known = BY_NAME.find(([endings]) => endings.test(name));
  if (known) return known[1];
  const type = mime?.split(';')[0]?.trim().toLowerCase() ?? '';
  if (/^image\/(png|jpeg|gif|webp|avif|bmp|svg\+xml)$/.test(type)) return 'image';
  if (type.startsWith('audio/')) return 'audio';
  if (type.startsWith('video/')) return 'video';
  if (type === 'application/json') return 'json';
  if (type === 'text/csv' || type === 'text/tab-separated-values') return 'table';
  if (type === 'text/markdown') return 'markdown';
  if (type === 'text/html') return 'page';
  return type.startsWith('text/') ? 'text' : 'none';
}
