/** Runs programs of the system, bounded in output and time, and ended with their signal. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { abortReason } from '../../base/clock.ts'
import { SkeinError } from '../../base/errors.ts'

export interface RunOptions {
  readonly command: string
  readonly args: readonly string[]
  readonly variables?: Readonly<Record<string, string | undefined>> | undefined
  readonly input?: Uint8Array | undefined
  /** A longer output ends the program. */
  readonly maxBytes: number
  readonly signal: AbortSignal
  /** It leaves a process behind that goes on: nothing of what it writes is read. */
  readonly isLeaving?: boolean
}

/** What programs are to an adapter. */
export interface Programs {
  /** @returns what it writes. @throws `not.found` when it cannot be started or fails, `limit.exceeded`. */
  run(options: RunOptions): Promise<Uint8Array>
  /** Runs until the signal aborts, line by line. @throws `peer.gone` when it ends by itself. */
  follow(options: RunOptions, onLine: (line: string) => void): Promise<never>
}

const errorBytes = 500

export const systemPrograms: Programs = {
  async run(options) {
    const chunks: Uint8Array[] = []
    const { code, said } = await runChild(options, (chunk) => void chunks.push(chunk))
    if (code !== 0) throw failure(options, said)
    const joined = Buffer.concat(chunks)
    return new Uint8Array(joined.buffer, joined.byteOffset, joined.byteLength)
  },
  async follow(options, onLine) {
    let rest = ''
    // A line at a time: the bound is on one line, not on all that ever comes
    const { said } = await runChild(options, (chunk) => {
      const lines = (rest + Buffer.from(chunk).toString('utf8')).split('\n')
      rest = lines.pop() ?? ''
      lines.forEach(onLine)
      return rest.length
    })
    throw failure(options, said, 'peer.gone')
  },
}

/** @param take @returns how many bytes it holds on to; nothing: all that came so far. */
async function runChild(
  { command, args, variables, input, maxBytes, signal, isLeaving }: RunOptions,
  take: (chunk: Uint8Array) => number | void,
): Promise<{ readonly code: number | null; readonly said: string }> {
  if (signal.aborted) throw abortReason(signal)
  const output = isLeaving === true ? 'ignore' : 'pipe'
  const env = variables === undefined ? {} : { env: variables }
  const child = spawn(command, args, { ...env, stdio: ['pipe', output, output] })
  let [said, total] = ['', 0]
  let refused: SkeinError | undefined
  const kill = (): void => void child.kill('SIGKILL')
  signal.addEventListener('abort', kill, { once: true })
  try {
    child.stdin?.on('error', () => undefined) // because: whether it took its input shows in how it ends
    child.stdin?.end(input)
    child.stderr?.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(0, errorBytes)))
    child.stdout?.on('data', (chunk: Buffer) => {
      total += chunk.byteLength
      if (refused !== undefined) return
      total = take(chunk) ?? total
      if (total <= maxBytes) return
      refused = new SkeinError('limit.exceeded', 'it is too large')
      kill()
    })
    await once(child, 'close')
    if (refused !== undefined) throw refused
    if (signal.aborted) throw abortReason(signal)
    return { code: child.exitCode, said: said.trim() }
  } catch (error) {
    if (error instanceof SkeinError) throw error
    throw new SkeinError('not.found', `${command} cannot be started`, { cause: error })
  } finally {
    signal.removeEventListener('abort', kill)
  }
}

function failure(
  { command }: RunOptions,
  said: string,
  code: 'not.found' | 'peer.gone' = 'not.found',
): SkeinError {
  const [line = ''] = said.split('\n')
  return new SkeinError(code, line === '' ? `${command} ended` : `${command}: ${line}`)
}
