import { expect, test } from 'vitest';
import { startFixture } from '../server/fixture.ts';
import { ProjectApps } from './project-apps.ts';

test('an application that could not be built is built at the next request, and one only', async () => {
  const fixture = await startFixture();
  try {
    let builds = 0;
    const apps = new ProjectApps(async () => {
      builds += 1;
      if (builds === 1) throw new Error('too many open files');
      return fixture;
    });
    await expect(apps.of('vision')).rejects.toThrow('too many open files');
    const [first, second] = await Promise.all([apps.of('vision'), apps.of('vision')]);
    expect([first, second]).toEqual([fixture, fixture]);
    expect([builds, apps.open.length]).toEqual([2, 1]);
  } finally {
    await fixture.remove();
  }
});
