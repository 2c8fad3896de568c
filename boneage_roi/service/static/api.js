// Talking to the service.

let token = "";

export function setToken(value) { token = value.trim(); }

export class ServiceError extends Error {
  constructor(status, problem) {
    super(problem.detail || `HTTP ${status}`);
    this.status = status;
    this.problem = problem;
  }
}

const pause = (seconds, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, seconds * 1000);
  signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
});

async function call(path, options) {
  const headers = { ...(options.headers || {}) };
  if (token) headers.Authorization = `Bearer ${token}`;
  for (;;) {
    const answer = await fetch(path, { ...options, headers, credentials: "omit" });
    if (answer.ok) return answer;
    const problem = await answer.json().catch(() => ({}));
    if (answer.status !== 429) throw new ServiceError(answer.status, problem);
    await pause(Number(answer.headers.get("Retry-After")) || 2, options.signal);
  }
}

export const get = (path) => call(path, { method: "GET" });

// Send an image with fields; gives the Response.
export function post(path, file, fields, { accept = "application/json", signal } = {}) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value !== "" && value !== null && value !== undefined) form.append(name, value);
  }
  form.append("file", file, "image");  // its name may tell whose it is: it stays here
  return call(path, { method: "POST", body: form, headers: { Accept: accept }, signal });
}
