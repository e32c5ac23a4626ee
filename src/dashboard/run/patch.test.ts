import { expect, test } from 'vitest';
import { readPatch } from './patch.ts';

test('files, hunks, numbers and counts', () => {
  const [file, ...rest] = readPatch(`diff --git a/src/train.py b/src/train.py
index 111..222 100644
--- a/src/train.py
+++ b/src/train.py
@@ -10,4 +10,5 @@ def main():
 same
-lr = 0.1
+lr = 0.2
+more = 1
 end
`);
  expect(rest).toEqual([]);
  expect(file).toMatchObject({ path: 'src/train.py', change: 'changed', added: 2, removed: 1 });
  expect(file?.hunks[0]).toMatchObject({ within: 'def main():' });
  expect(file?.hunks[0]?.lines.map((line) => [line.kind, line.old, line.new])).toEqual([
    ['same', 10, 10],
    ['removed', 11, null],
    ['added', null, 11],
    ['added', null, 12],
    ['same', 12, 13],
  ]);
});

test('a line that replaces another says where it differs', () => {
  const [file] = readPatch(
    'diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-rate = 0.10 # keep\n+rate = 0.25 # keep\n',
  );
  const [before, after] = file?.hunks[0]?.lines ?? [];
  expect(before?.text.slice(...(before.change ?? []))).toBe('10');
  expect(after?.text.slice(...(after.change ?? []))).toBe('25');
});

test('added, removed, renamed, binary and oddly named files', () => {
  const files = readPatch(`diff --git a/new.txt b/new.txt
new file mode 100644
--- /dev/null
+++ b/new.txt
@@ -0,0 +1 @@
+hello
\\ No newline at end of file
diff --git a/old.txt b/old.txt
deleted file mode 100644
--- a/old.txt
+++ /dev/null
@@ -1,2 +0,0 @@
--- looks like a header
-++ this too
diff --git a/a name.py b/b name.py
similarity index 90%
rename from a name.py
rename to b name.py
diff --git a/pic.png b/pic.png
Binary files a/pic.png and b/pic.png differ
diff --git "a/caf\\303\\251.txt" "b/caf\\303\\251.txt"
old mode 100644
new mode 100755
`);
  expect(files.map(({ path, change }) => [path, change])).toEqual([
    ['new.txt', 'added'],
    ['old.txt', 'removed'],
    ['b name.py', 'renamed'],
    ['pic.png', 'changed'],
    ['café.txt', 'changed'],
  ]);
  expect(files[0]?.hunks[0]?.lines.at(-1)).toMatchObject({ kind: 'note', text: 'No newline at end of file' });
  expect(files[1]?.removed).toBe(2);
  expect(files[3]?.binary).toBe(true);
  expect(files[4]?.notes).toHaveLength(2);
});

test('what is no patch, or a part of one, breaks nothing', () => {
  expect(readPatch('')).toEqual([]);
  expect(readPatch('hello\nworld')).toEqual([]);
  expect(
    readPatch('diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,50 +1,50 @@\n a')[0]?.hunks[0]?.lines,
  ).toHaveLength(1);
});
