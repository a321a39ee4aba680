/** Verbs called by name with parameters as they came: the one place where the two servers of the api check them. */
import { asSkeinError, SkeinError } from '../base/errors.ts'
import type { Api, ApiCall, VerbName } from './api.ts'
import type { VerbCalls } from './api-calls.ts'
import { controlParams } from './control-params.ts'

export function createVerbCalls(api: Api): VerbCalls {
  return {
    async request(verb, params, call) {
      const checked = checkParams(verb, params)
      // because: the parameters have just been validated for this very verb
      return await (api[verb] as (params: unknown, call: ApiCall) => Promise<unknown>)(checked, call)
    },
    stream(verb, params, call) {
      const checked = checkParams(verb, params)
      // because: the parameters have just been validated for this very verb
      return (api[verb] as (params: unknown, call: ApiCall) => AsyncIterable<unknown>)(checked, call)
    },
  }
}

function checkParams(verb: VerbName, params: unknown): unknown {
  try {
    return controlParams[verb](params, verb)
  } catch (error) {
    const known = asSkeinError(error)
    throw new SkeinError('usage', known.message, { cause: error })
  }
}
