/** Asks the person at the terminal a yes-or-no question; anything but a clear yes is a no. */
import { createInterface } from 'node:readline/promises'

/** @param question already safe to print. @param signal when it aborts the answer is no. */
export async function ask(question: string, signal?: AbortSignal): Promise<boolean> {
  const reader = createInterface({ input: process.stdin, output: process.stderr })
  try {
    // Ctrl-C and end of input at the prompt are a no as well: the question must never hang
    const ended = new Promise<string>((resolve) => {
      reader.once('SIGINT', () => resolve(''))
      reader.once('close', () => resolve(''))
      signal?.addEventListener('abort', () => resolve(''), { once: true })
    })
    const answer = await Promise.race([reader.question(`${question} [y/N] `), ended])
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    reader.close()
  }
}
