import { type Field, OPTIONS, type Option } from '../src/config/options.ts';

/** `docs/configuration.md`, from the descriptions in the schema. */
export function configurationDoc(): string {
  const lines = [
    '# Configuration',
    '',
    '<!-- Made from src/config/schema.ts by `npm run docs`. Change it there. -->',
    '',
    'Options come from a YAML or JSON file (`--config sluice.yaml` or `SLUICE_CONFIG`), from the environment, and from',
    'flags; flags win over the environment, the environment over the file. `sluice config` prints what holds and where',
    'each value came from, with secrets and the arguments of hooks masked. A wrong key or value stops the start and names',
    'its place and what to write instead; a variable that is nearly an option sets nothing and is a warning.',
    '',
    'The file is watched: changes hold at once and nobody is dropped. Options marked _for new streams_ hold for streams,',
    'and encoders of ffmpeg, that begin after the change; those marked _restart_ wait for one. The log says which is which.',
    'A file that does not parse changes nothing. Applications may have options marked _by application_ of their own, as in',
    'the example at the end.',
    '',
    'Variables that are marked (JSON) have JSON; other lists have commas, or are JSON when they begin with a bracket. A',
    'variable stands in place of all that the file says of its option. JSON with a mistake stops the start.',
    '',
    '```sh',
    'SLUICE_LADDER=720p,480p,audio',
    `SLUICE_PUBLISH_KEYS='[{"name":"test","key":"sha256:fa5a61a4d9a1ef4a9ba60ae5d61b8b98ae0bc5a8f5f5b1a5ecfaf2a5b0cba3d4"}]'`,
    `SLUICE_APPLICATIONS='{"studio":{"publish":{"allow":["192.0.2.0/24"],"takeover":"reject"}}}'`,
    '```',
  ];
  let group: string | null = null;
  for (const { key, variable, notation, type, description, fields, ...option } of OPTIONS) {
    const first = key.includes('.') ? (key.split('.')[0] ?? '') : 'general';
    if (first !== group) lines.push('', `## ${first}`);
    group = first;
    const facts = [type, `default ${defaultOf(option.default)}`, ...marksOf(option)];
    lines.push(
      '',
      `**\`${key}\`** \`${variable}\` ${notation === null ? '' : `(${notation}) `}(${facts.join('; ')})  `,
      description,
    );
    if (fields.length > 0) lines.push('', ...fields.map(lineOfField));
  }
  return `${[...lines, ...EXAMPLE].join('\n')}\n`;
}

function lineOfField({ name, type, description, required }: Field): string {
  return `- \`${name}\` (${type}${required ? '' : '; optional'}): ${description}`;
}

function marksOf(option: Pick<Option, 'restart' | 'forNew' | 'secret' | 'perApplication'>): string[] {
  const { restart, forNew, secret, perApplication } = option;
  const marks = {
    _restart_: restart,
    '_for new streams_': forNew,
    '_by application_': perApplication,
    _secret_: secret,
  };
  return Object.entries(marks).flatMap(([mark, holds]) => (holds ? [mark] : []));
}

function defaultOf(value: unknown): string {
  if (value === undefined) return 'none';
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

/** Checked like a user's file by the test beside it. */
const EXAMPLE = [
  '',
  '## Example',
  '',
  '```yaml',
  'host: 0.0.0.0',
  'api:',
  '  token: change-me-to-32-random-characters',
  'publish:',
  '  keys:',
  '    - name: test # viewers open /hls/test.m3u8',
  '      key: sha256:fa5a61a4d9a1ef4a9ba60ae5d61b8b98ae0bc5a8f5f5b1a5ecfaf2a5b0cba3d4',
  'hls:',
  '  segmentDuration: 2',
  'storage:',
  '  type: disk',
  '  directory: /var/lib/sluice',
  'applications:',
  '  members: # rtmp://host/members, /hls/members/<name>.m3u8',
  '    play:',
  '      secrets: [change-me-to-32-other-random-characters]',
  '  studio:',
  '    publish:',
  '      allow: [192.0.2.0/24]',
  '      takeover: reject',
  '```',
];
