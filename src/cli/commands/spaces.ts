/** `skein spaces`: shared folders, how far they are, and what waits and why. */
import type { Command, Invocation } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { formatHold } from './hold.ts'
import { formatProblems, formatSpaces } from '../space-lines.ts'

export const spaces: Command = {
  summary: 'shared folders, their progress, and what waits and why',
  examples: ['skein spaces', 'skein spaces --json | jq -r ".[].directory"'],
  run: list,
}

async function list(call: Invocation): Promise<number> {
  const { terminal } = call
  const [found, held] = await withPeer(call, (client) =>
    Promise.all([client.call('spaces', {}), client.call('held', {})]),
  )
  terminal.json(found)
  const isHolder = held.isHolding || held.vaults.length > 0
  if (found.length > 0) terminal.print(formatSpaces(found, terminal.columns))
  else if (!isHolder) terminal.print('Nothing is shared yet: skein share DIR')
  if (isHolder) terminal.print(formatHold(held))
  const problems = formatProblems(found)
  if (problems !== '') terminal.print(problems)
  return exitCodes.ok
}
