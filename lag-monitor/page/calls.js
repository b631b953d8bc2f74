// Calls of the monitor, which is the only one that the page talks to.

/** What an answer that is no success says of itself. */
export async function problem(response) {
  try {
    const { detail } = await response.json();
    if (typeof detail === "string") return detail;
  } catch {
    // Not a problem document: the status alone has to do.
  }
  return `it answered ${response.status}`;
}

/** What the monitor answers; an error says in words why there is nothing. */
export async function call(method, url, body) {
  const options = { method, cache: "no-store" };
  if (body !== undefined) {
    options.headers = { "content-type": "application/json" };
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(url, options);
  } catch {
    throw new Error("the monitor cannot be reached");
  }
  if (!response.ok) throw new Error(await problem(response));
  return response.json();
}
