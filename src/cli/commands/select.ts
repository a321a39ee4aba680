/** `skein select`: which paths of a shared folder this device keeps. The others stay on other devices. */
import { SkeinError } from '../../base/errors.ts'
import type { SpaceStatus } from '../../peer/api-spaces.ts'
import type { Command, Invocation } from '../command.ts'
import { isSet, textsOption } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { findSpaceHere } from '../space-here.ts'
import { formatSelection } from '../space-lines.ts'
import { safe } from '../terminal.ts'

/** The folder is opened anew. */
const timeoutMs = 120_000

export const selectOptions = [
  { notation: '--only <patterns...>', about: 'keep what matches, as in .gitignore; a leading / is the top' },
  { notation: '--except <patterns...>', about: 'and leave out what matches these' },
] as const

export const select: Command = {
  summary: 'which paths of a shared folder to keep here',
  examples: [
    'skein select photos',
    "skein select photos --only '/2026/' '/albums/'",
    "skein select photos --except '*.raw' '/old/'",
    'skein select photos --all',
  ],
  words: [{ notation: '<space>', about: 'its name or id' }],
  options: [...selectOptions, { notation: '--all', about: 'keep everything again' }],
  run: choose,
}

async function choose(call: Invocation): Promise<number> {
  const [space = ''] = call.words
  const [only, except] = [textsOption(call, 'only'), textsOption(call, 'except')]
  const isAll = isSet(call, 'all')
  const hasPatterns = only.length + except.length > 0
  if (isAll && hasPatterns)
    throw new SkeinError('usage', '--all goes with no patterns', { fix: 'skein select SPACE --all' })
  const found = await withPeer(call, (client) =>
    isAll || hasPatterns
      ? client.call('select', { space, only, except }, timeoutMs)
      : findSpaceHere(client, space),
  )
  call.terminal.json(found)
  for (const line of describe(found)) call.terminal.print(line)
  return exitCodes.ok
}

function describe({ name, selection, unreleasedCount = 0 }: SpaceStatus): readonly string[] {
  if (selection === undefined) return [safe`All of ${name} is kept here.`]
  return [
    safe`Of ${name} is kept here: ${formatSelection(selection)}`,
    'The rest leaves this disk as soon as another device is known to hold it; it is deleted nowhere.',
    ...(unreleasedCount > 0 ? [`${unreleasedCount} files wait for that.`] : []),
  ]
}
