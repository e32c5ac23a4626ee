import { describe, expect, it } from 'vitest';
import { findSecrets, isSecretName } from './secret-patterns.ts';

/** Put together here, so that this file holds none itself. */
const random = 'q7Zk2mVx9LpR4tYw8NsB3hJd6FgCa1eU5oTi';
const secrets: [string, string][] = [
  ['AWS access key', `key = ${'AKIA'}QX3ZN7B4WPLM2KTD`],
  ['GitHub token', `git clone https://${'ghp'}_${random}@github.com/x/y`],
  ['GitHub token', `${'github'}_pat_${random}`],
  ['Slack token', `${'xoxb'}-2738461927-${random}`],
  ['Google API key', `"${'AIza'}Sy${random.slice(0, 33)}"`],
  ['API key (sk-…)', `openai.api_key = "${'sk'}-proj-${random}"`],
  ['Hugging Face token', `login("${'hf'}_${random}")`],
  ['private key', `-----BEGIN ${'OPENSSH'} PRIVATE KEY-----`],
  ['private key', `-----BEGIN ${'PRIVATE'} KEY-----`],
  ['JWT', `Bearer ${'eyJ'}hbGciOiJIUzI1NiJ9.${'eyJ'}zdWIiOiI5ODc2NTQifQ.${random}`],
  ['password or token', `password = "${random.slice(0, 20)}"`],
  ['password or token', `WANDB_API_${'KEY'}=${random}`],
  ['password or token', `python train.py --api-key ${random}`],
  ['password or token', `postgres://me:${random.slice(0, 14)}@db.internal/x`],
];

describe('a secret', () => {
  it.each(secrets)('%s is found: %s', (kind, text) => {
    const found = findSecrets(`before\n${text}\nafter`);
    expect(found.map((each) => each.kind)).toEqual([kind]);
    expect(text).not.toBe(found[0]?.shown);
    expect(found[0]?.shown.length).toBeLessThan(8);
  });
});

describe('no secret', () => {
  it.each([
    'tokenizer = "bert-base-uncased-finetuned-mnli"',
    'token = os.environ["HF_TOKEN"]',
    'api_key = "your-api-key-goes-here-please"',
    'password = "correct horse battery staple"',
    'secret = "${WADDLE_TOKEN}"',
    'key = "layers.0.attention.self.query.weight"',
    'num_tokens = 4096',
    'task-classification-with-sk-learn-and-a-very-long-name-2024',
    'commit 3f786850e387550fdab836ed7e6dc881de23001b',
    'sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"',
    'token: "<your token>"',
    'pass_at_1 = 0.8372',
    'access_key: "AKIAIOSFODNN7EXAMPLE"',
    'http://localhost:8080/path@2x.png',
    'special_tokens = {"pad_token": "<|endoftext|>", "sep_token": "[SEP]"}',
    'token_type = "application/vnd.waddle.frames"',
    '{"eos_token": "</s>", "unk_token": "<unk>"}',
    'hf_hub_download(repo_id="meta/llama")',
    'epoch 12 token accuracy=0.98123 secretary=3',
  ])('%s', (text) => {
    expect(findSecrets(text)).toEqual([]);
  });

  it('and a name is one of a secret only where its last word says so', () => {
    for (const name of ['api_key', 'db.password', 'HF_TOKEN', 'clientSecret'])
      expect(isSecretName(name)).toBe(true);
    for (const name of ['tokenizer', 'max_tokens', 'secretary', 'bypass', 'monkey', 'keys']) {
      expect(isSecretName(name)).toBe(false);
    }
  });
});
