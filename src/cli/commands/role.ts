/** `skein role`: whether this device takes full part in a shared folder, or receives only. */
import { SkeinError } from '../../base/errors.ts'
import type { SpaceStatus } from '../../peer/api-spaces.ts'
import type { Command, Invocation } from '../command.ts'
import { isSet } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { findSpaceHere } from '../space-here.ts'
import { safe } from '../terminal.ts'

/** The folder is opened anew. */
const timeoutMs = 120_000

export const role: Command = {
  summary: 'receive a shared folder only, or take full part in it',
  examples: ['skein role notes', 'skein role notes --read-only', 'skein role notes --full'],
  words: [{ notation: '<space>', about: 'its name or id' }],
  options: [
    {
      notation: '--read-only',
      about: 'take what others do and send nothing; what is changed here is listed',
    },
    { notation: '--full', about: 'take and send; what was changed here meanwhile is sent now' },
  ],
  run: change,
}

async function change(call: Invocation): Promise<number> {
  const [space = ''] = call.words
  const [isReadOnly, isFull] = [isSet(call, 'readOnly'), isSet(call, 'full')]
  if (isReadOnly && isFull)
    throw new SkeinError('usage', 'one of --read-only and --full', { fix: 'skein role SPACE --read-only' })
  const found = await withPeer(call, (client) =>
    isReadOnly || isFull
      ? client.call('spaceRole', { space, role: isReadOnly ? 'read-only' : 'full' }, timeoutMs)
      : findSpaceHere(client, space),
  )
  call.terminal.json(found)
  call.terminal.print(describe(found))
  return exitCodes.ok
}

function describe({ name, role: current = 'full', localChangeCount = 0 }: SpaceStatus): string {
  if (current === 'full') return safe`This device takes full part in ${name}.`
  const unsent =
    localChangeCount === 0
      ? ''
      : safe` ${localChangeCount} changes made here are not sent: skein revert ${name} --list`
  return safe`This device receives ${name} and sends nothing.` + unsent
}
