// Requests to the monitor: the only server that the page calls.

/** The detail of a problem document (RFC 9457), or the status code if the answer is no problem document. */
export async function problemDetail(response) {
  try {
    const { detail } = await response.json();
    if (typeof detail === "string") return detail;
  } catch {
    // The body is not JSON.
  }
  return `it answered ${response.status}`;
}

/** The JSON of the answer. Throws an error whose message can be shown to the user. */
export async function callApi(method, url, body) {
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
  if (!response.ok) throw new Error(await problemDetail(response));
  return response.json();
}
