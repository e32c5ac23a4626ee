import { expect, test } from 'vitest';
import { pathBytes, pathText } from './path-text.ts';
import { isWaddles, looksSecret } from './policy.ts';

test.each([
  '.env',
  'a/.env.local',
  '.envrc',
  'prod.env',
  'server.pem',
  'tls/site.key',
  'id_rsa',
  'id_ed25519',
  'id_ed25519_sk',
  'id_rsa.bak',
  '.netrc',
  '_netrc',
  '.pypirc',
  'home/.ssh/config',
  '.aws/credentials',
  'kaggle.json',
  'secrets.yaml',
  'service-account-prod.json',
])('%s looks like a secret', (path) => {
  expect(looksSecret(path)).toBe(true);
});

test.each([
  '.env.example',
  '.env.sample',
  'id_mapping.py',
  'id_rsa.pub',
  'environment.yml',
  '.environment',
  'env/train.py',
  'monkey.py',
  'keys.py',
  'id_rsa_test.py',
  'secrets.py',
  'tokenizer.json',
])('%s does not', (path) => {
  expect(looksSecret(path)).toBe(false);
});

test("Waddle's own folder, at any depth, and nothing that merely sounds like it", () => {
  expect(['.waddle/x', 'a/.waddle/x', 'a/.waddle'].every(isWaddles)).toBe(true);
  expect(['.waddle2/x', 'x.waddle/y', 'waddle/x', 'waddle.json'].some(isWaddles)).toBe(false);
});

test('paths that are not UTF-8 are written byte by byte and read back', () => {
  const bytes = Buffer.from([0x61, 0xff, 0xc3, 0xa9, 0xc3, 0x62]);
  expect(pathText(bytes)).toBe('a\\xffé\\xc3b');
  expect(pathBytes(pathText(bytes))).toEqual(bytes);
  expect(pathText(Buffer.from('naïve\n'))).toBe('naïve\n');
});
