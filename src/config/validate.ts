import { Errors } from 'typebox/value';
import { WaddleJson } from './schema.ts';

/** What is wrong with the value of a `waddle.json`, a phrase for each mistake; empty where it is sound. */
export function describeConfigErrors(value: unknown): string[] {
  const phrases: string[] = [];
  for (const error of Errors(WaddleJson, value)) {
    const place = error.instancePath.slice(1).replaceAll('/', '.');
    if (error.keyword === 'additionalProperties') {
      for (const key of error.params.additionalProperties) {
        phrases.push(`unknown key "${place === '' ? key : `${place}.${key}`}"`);
      }
    } else if (error.keyword !== 'boolean') {
      phrases.push(`"${place === '' ? '(the whole file)' : place}" ${error.message}`);
    }
  }
  return phrases;
}
