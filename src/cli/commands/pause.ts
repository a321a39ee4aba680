/** `skein pause` and `skein resume`: stop syncing a shared folder on this device for a while, and go on. */
import type { SpaceStatus } from '../../peer/api-spaces.ts'
import type { Command, Invocation } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { safe } from '../terminal.ts'

const words = [{ notation: '[space]', about: 'only this one (default: all on this device)' }]

export const pause: Command = {
  summary: 'stop syncing a shared folder here, until resume',
  examples: ['skein pause', 'skein pause notes'],
  words,
  run: (call) => hold(call, 'pause'),
}

export const resume: Command = {
  summary: 'go on syncing a paused folder',
  examples: ['skein resume', 'skein resume notes'],
  words,
  run: (call) => hold(call, 'resume'),
}

/** Opening a folder reads its index. */
const timeoutMs = 120_000

async function hold(call: Invocation, verb: 'pause' | 'resume'): Promise<number> {
  const [space] = call.words
  const params = space === undefined ? {} : { space }
  const found = await withPeer(call, (client) => client.call(verb, params, timeoutMs))
  call.terminal.json(found)
  if (found.length === 0) call.terminal.print('No shared folder lies on this device: skein share DIR')
  for (const status of found)
    call.terminal.print(verb === 'pause' ? paused(status) : safe`${status.name} goes on`)
  return exitCodes.ok
}

const paused = ({ name }: SpaceStatus): string =>
  safe`${name} is paused: nothing is scanned, sent or placed here until: skein resume ${name}`
