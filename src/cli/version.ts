import manifest from '../../package.json' with { type: 'json' };

export const VERSION: string = manifest.version;

/** How this program names itself in the journals that it writes. */
export const CLIENT = `waddle ${VERSION}`;
