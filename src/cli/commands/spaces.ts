/** `skein spaces`: shared folders and their state. */
import type { Command, Invocation } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { formatSpaces } from './status.ts'

export const spaces: Command = {
  summary: 'shared folders and their state',
  examples: ['skein spaces', 'skein spaces --json | jq -r ".[].directory"'],
  run: list,
}

async function list(call: Invocation): Promise<number> {
  const found = await withPeer(call, (client) => client.call('spaces', {}))
  call.terminal.json(found)
  call.terminal.print(found.length === 0 ? 'Nothing is shared yet: skein share DIR' : formatSpaces(found))
  return exitCodes.ok
}
