/** Help as text: examples first, then what can be given. Pure functions of the command tables. */
import type { Command, Notation } from './command.ts'
import { verbGroups } from './verbs.ts'

const commonOptions: readonly Notation[] = [
  { notation: '--home DIR', about: 'the home of the peer (default: $SKEIN_HOME, or your data directory)' },
  { notation: '--json', about: 'one JSON value a line on standard output, errors as {"error": ...}' },
  { notation: '-h, --help', about: 'this help' },
]

const exitCodeHelp = `Exit codes
  0 ok   1 failed   2 wrong command line   3 the peer is not running
  4 refused (rights, pairing, token)   5 timed out   130 interrupted
`

/** Of `skein --help`. */
export function formatHelp(): string {
  const examples = formatExamples([
    'skein up                   start this device',
    'skein pair                 show a code, on a device of the mesh',
    'skein pair CODE            join the mesh, on the new device',
    'skein share ~/notes        share a folder',
    'skein status               see how everything is',
  ])
  const groups = verbGroups.map(({ title, verbs }) =>
    formatList(
      title,
      Object.entries(verbs).map(([notation, { summary }]) => ({ notation, about: summary })),
    ),
  )
  const parts = [
    'Skein weaves your devices into one computer.',
    examples,
    ...groups,
    formatList('Options', commonOptions),
  ]
  return `${[...parts, exitCodeHelp].join('\n\n')}\nskein VERB --help says more about one verb.\n`
}

/** Of `skein VERB --help`. @param name the verb, and the sub-verb after a space. */
export function formatVerbHelp(name: string, command: Command): string {
  const words = (command.words ?? []).map(({ notation }) => ` ${notation}`).join('')
  const verbs = Object.entries(command.verbs ?? {}).map(([verb, { summary }]) => ({
    notation: verb,
    about: summary,
  }))
  const parts = [`skein ${name}: ${command.summary}`, formatExamples(command.examples)]
  const usage = [
    ...(command.run === undefined ? [] : [`  skein ${name}${words} [options]`]),
    ...(verbs.length === 0 ? [] : [`  skein ${name} VERB`]),
  ]
  parts.push(`Usage\n${usage.join('\n')}`)
  if (verbs.length > 0) parts.push(formatList('Verbs', verbs))
  if (command.words !== undefined) parts.push(formatList('Words', command.words))
  parts.push(formatList('Options', [...(command.options ?? []), ...commonOptions]))
  return `${parts.join('\n\n')}\n\n${exitCodeHelp}`
}

const formatExamples = (examples: readonly string[]): string =>
  `Examples\n${examples.map((line) => `  ${line}`).join('\n')}`

function formatList(title: string, entries: readonly Notation[]): string {
  const width = Math.max(...entries.map(({ notation }) => notation.length))
  return `${title}\n${entries.map(({ notation, about }) => `  ${notation.padEnd(width)}  ${about}`).join('\n')}`
}
