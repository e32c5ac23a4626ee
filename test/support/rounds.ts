/** Rounds of a property test: so many in `npm test`, and WADDLE_TEST_ROUNDS times as many where somebody has the time. */
export const rounds = (usual: number): number => usual * Number(process.env.WADDLE_TEST_ROUNDS ?? 1);
