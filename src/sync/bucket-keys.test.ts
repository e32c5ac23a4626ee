import { describe, expect, it } from 'vitest';
import { newRunId } from '../events/ids.ts';
import {
  type BucketRun,
  longestChain,
  markOf,
  noteKey,
  projectKey,
  readSegment,
  type Segment,
  segmentName,
} from './bucket-keys.ts';
import { EMPTY_ROOT } from './journal-hash.ts';

const root = (digit: string) => digit.repeat(64);

function segment(offset: number, length: number, digit: string): Segment {
  const key = `runs/x/j/job-aaaaaaaa/${segmentName(offset, length, root(digit))}`;
  const read = readSegment(key);
  if (read === null) throw new Error(`${key} is no segment`);
  return read;
}

describe('a segment’s name', () => {
  it('tells where it begins, how long it is and what it comes to, and sorts by its beginning', () => {
    const names = [5, 40_000_000_000, 0].map((offset) => segmentName(offset, 7, root('a')));
    expect([...names].sort()).toEqual([names[2], names[0], names[1]]);
    const key = `runs/x/j/job-aaaaaaaa/${names[1]}`;
    expect(readSegment(key)).toEqual({ key, offset: 40_000_000_000, length: 7, root: root('a') });
  });

  it('is nothing else’s', () => {
    for (const name of ['', 'x', segmentName(0, 7, 'abc'), `${segmentName(0, 7, root('a'))}.tmp`]) {
      expect([name, readSegment(`runs/x/j/job-aaaaaaaa/${name}`)]).toEqual([name, null]);
    }
  });
});

describe('the longest chain', () => {
  it('is of segments each of which begins where another ends', () => {
    const [a, b, c] = [segment(0, 10, 'a'), segment(10, 5, 'b'), segment(15, 1, 'c')];
    expect(longestChain([c, a, b])).toEqual([a, b, c]);
    expect(markOf([a, b, c])).toEqual({ length: 16, root: root('c') });
    expect(longestChain([b, c])).toEqual([]);
    expect(markOf([])).toEqual({ length: 0, root: EMPTY_ROOT });
  });

  it('leaves out what a gap cuts off, and what two have written beside each other', () => {
    const [a, b, far] = [segment(0, 10, 'a'), segment(10, 5, 'b'), segment(20, 5, 'c')];
    expect(longestChain([a, b, far])).toEqual([a, b]);
    // The same bytes, sent in other pieces by somebody else.
    const [whole, rest] = [segment(0, 15, 'b'), segment(15, 9, 'd')];
    const chain = longestChain([a, b, whole, rest]);
    expect(markOf(chain)).toEqual({ length: 24, root: root('d') });
    expect(chain.at(0)?.offset).toBe(0);
    for (const [index, each] of chain.slice(1).entries()) {
      expect(each.offset).toBe((chain[index]?.offset ?? 0) + (chain[index]?.length ?? 0));
    }
  });

  it('never turns in a circle, whatever the names say', () => {
    const empty = segment(0, 10, 'a');
    expect(longestChain([empty, { ...empty, length: 0 }, { ...empty, length: -10, offset: 10 }])).toEqual([
      empty,
    ]);
  });
});

it('keys below a run tell what there is of it, and others nothing', () => {
  const run = newRunId();
  const runs = new Map<string, BucketRun>();
  const name = segmentName(0, 7, root('a'));
  for (const key of [
    `runs/${run}/j/job-aaaaaaaa/${name}`,
    `runs/${run}/j/job-aaaaaaaa/nonsense`,
    `runs/${run}/j/../${name}`,
    `runs/${run}/b/${root('c')}-12`,
    `runs/${run}/b/short-12`,
    `runs/${run}/t/${'d'.repeat(40)}`,
    `runs/${run}/t/HEAD`,
    `runs/${run}/p/${projectKey('default')}`,
    `runs/${run}/p/${projectKey('Größe/../x')}`,
    'runs/not-a-run/p/x',
    'runs',
  ]) {
    noteKey(runs, key);
  }
  expect([...runs.keys()]).toEqual([run]);
  const known = runs.get(run);
  expect([...(known?.journals.keys() ?? [])]).toEqual(['job-aaaaaaaa']);
  expect(known?.journals.get('job-aaaaaaaa')).toMatchObject([{ length: 7 }]);
  expect(known).toMatchObject({
    blobs: [{ sha256: root('c'), size: 12 }],
    trees: ['d'.repeat(40)],
    project: 'Größe/../x',
  });
});
