/** Which environment variables of a job are worth keeping: those that change what it computes, and never a secret. */

type Env = Record<string, string | undefined>;

/** What is kept without being asked for; `*` stands for any characters. */
const RELEVANT = [
  '*SEED*',
  'CUDA_*',
  'CUBLAS_*',
  'CUDNN_*',
  'NVIDIA_*',
  'NCCL_*',
  'HIP_*',
  'ROCR_*',
  'HSA_*',
  'PYTHON*',
  'TORCH*',
  'PYTORCH_*',
  'TF_*',
  'XLA_*',
  'JAX_*',
  'KERAS_*',
  'HF_*',
  'TRANSFORMERS_*',
  'TOKENIZERS_*',
  'ACCELERATE_*',
  'DEEPSPEED_*',
  'OMP_*',
  'MKL_*',
  'OPENBLAS_*',
  'BLIS_*',
  'NUMEXPR_*',
  'NUMBA_*',
  'VECLIB_*',
  'KMP_*',
  'GOMP_*',
  'MALLOC_*',
  'LD_PRELOAD',
  'LD_LIBRARY_PATH',
  'NODE_ENV',
  'NODE_OPTIONS',
  'TZ',
  'LC_ALL',
];

/** Of more variables than this, and of longer values (characters), nothing is kept: a record is no dump. */
const MOST = 200;
const LONGEST = 4096;

/** A word of a name, between underscores, that tells of a secret. `TOKENIZERS_PARALLELISM` and `MONKEY` are none. */
const SECRET_WORD =
  /(?:^|_)(?:\w*TOKENS?|\w*SECRETS?|\w*PASSWORDS?|PASSWD|PASSPHRASE|PWD|PASS|PSK|PAT|(?:\w*(?:API|ACCESS|PRIVATE|SIGNING|ENCRYPTION|LICENSE|SSH|AUTH))?_?KEYS?|KEYID|CREDENTIALS?|CREDS?|AUTH|OAUTH\w*|BEARER|COOKIES?|JWT|DSN|SIGNATURE|WEBHOOK)(?:_|\d|$)/i;

/** Values that are secrets whatever they are called: passwords in addresses, and tokens that show whose they are. */
const SECRET_VALUE =
  /:\/\/[^/\s@]*:[^/\s@]+@|\b(?:gh[pousr]_|github_pat_|glpat-|hf_[A-Za-z]{20}|sk-[\w-]{16}|xox[abpr]-|AKIA[0-9A-Z]{12}|eyJ[\w-]{10,}\.[\w-]{10,}\.)|-----BEGIN /;

/** True for a variable whose value must not be kept anywhere. */
export function isSecretVariable(name: string, value = ''): boolean {
  return SECRET_WORD.test(name) || SECRET_VALUE.test(value);
}

/**
 * The variables to record, by name. `patterns` (`environment.variables` of `waddle.json`) ask for more, or with a `!` in
 * front for less, the last one that fits counting. Secrets are left out even where they are asked for.
 */
export function relevantVariables(env: Env, patterns: readonly string[] = []): Record<string, string> {
  const rules = [...RELEVANT, ...patterns].map((pattern) => {
    const negated = pattern.startsWith('!');
    return { negated, expression: globExpression(negated ? pattern.slice(1) : pattern) };
  });
  const found: Record<string, string> = {};
  const names = Object.keys(env).sort();
  let count = 0;
  for (const name of names) {
    const value = env[name];
    if (value === undefined || value.length > LONGEST || count >= MOST) continue;
    const rule = rules.findLast(({ expression }) => expression.test(name));
    if (rule === undefined || rule.negated || isSecretVariable(name, value)) continue;
    found[name] = value;
    count += 1;
  }
  return found;
}

function globExpression(glob: string): RegExp {
  const body = glob
    .replaceAll(/[\\^$.+()[\]{}|/]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${body}$`, 's');
}
