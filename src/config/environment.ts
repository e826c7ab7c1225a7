import { HOOK_VARIABLES } from '../hooks/variables.ts';
import { SluiceError } from '../media/errors.ts';
import { nearest } from './nearest.ts';
import { OPTIONS, type Option, variableOf } from './options.ts';
import { type ConfigValue, isTree } from './tree.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = 'SLUICE_';
/** Kubernetes sets SLUICE_RTMP_PORT to tcp://10.0.0.1:1935 when there is a service named sluice-rtmp. */
const SERVICE_ADDRESS = /^(tcp|udp|sctp):\/\/[\d.:[\]a-f]+$/;
/** And SLUICE_SERVICE_HOST, SLUICE_PORT_1935_TCP_ADDR and more for one named sluice; Docker's links do the same. */
const SERVICE_VARIABLE =
  /^SLUICE_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)$|^SLUICE_(PORT|NAME|ENV_\w+)$/;
/** Set by the gateway for its children, which may be gateways. */
const FOR_CHILDREN = ['SLUICE_OWNER', 'SLUICE_EVENT', ...HOOK_VARIABLES.map((name) => variableOf(name))];

/**
 * What a variable sets; null when it is empty or Kubernetes speaks of a service.
 *
 * @throws SluiceError SLUICE_CONFIG_INVALID where it must be JSON for the option and is not
 */
export function fromEnvironment(option: Option, env: Environment): ConfigValue {
  const text = env[option.variable] ?? '';
  if (text === '') return null;
  const isJson = option.notation === 'JSON' || (option.notation !== null && /^\s*\[/.test(text));
  if (isJson) return fromJson(option, text);
  return SERVICE_ADDRESS.test(text) ? null : valueFrom(option, text);
}

/** A list, or a group for options that are one; what is wrong further inside is for the schema. */
function fromJson({ variable, key, list, example }: Option, text: string): ConfigValue {
  const value = parseJson(text);
  if (value !== undefined && (list ? Array.isArray(value) : isTree(value))) return value;
  const wanted = list ? 'must be a list in square brackets' : 'must be a group in braces';
  throw new SluiceError(
    'SLUICE_CONFIG_INVALID',
    `${variable}: ${key}: ${value === undefined ? 'is not valid JSON' : wanted}. It has to be such as ${example}, in a shell with single quotes around it`,
  );
}

/** Undefined where it is none. Why is not told: the message quotes the text, which may be a secret. */
function parseJson(text: string): ConfigValue | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Text as the option wants it, or as it is where it does not fit: the schema says what is wrong. */
export function valueFrom(option: Option, text: string): ConfigValue {
  if (option.list) return text.split(',').map((part) => part.trim());
  if (option.type === 'text' || option.type === 'address') return text;
  if (text === 'true' || text === 'false') return text === 'true';
  return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
}

/** Variables that were probably meant for an option and set nothing, each with what to do. Never their values. */
export function strayVariables(env: Environment): string[] {
  const known = OPTIONS.map(({ variable }) => variable).concat('SLUICE_CONFIG');
  return Object.entries(env).flatMap(([name, value = '']) => {
    if (!name.startsWith(PREFIX) || value === '' || known.includes(name) || isForeign(name, value)) return [];
    const similar = nearest(
      name.slice(PREFIX.length),
      known.map((variable) => variable.slice(PREFIX.length)),
    );
    return similar === null
      ? []
      : [`${name} is not an option and sets nothing; did you mean ${PREFIX}${similar}?`];
  });
}

function isForeign(name: string, value: string): boolean {
  return SERVICE_VARIABLE.test(name) || SERVICE_ADDRESS.test(value) || FOR_CHILDREN.includes(name);
}
