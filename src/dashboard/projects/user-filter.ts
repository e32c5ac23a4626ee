/** A filter that lets one person's runs through. */
export const userFilter = (user: string): string => `user = '${user.replaceAll("'", "''")}'`;
