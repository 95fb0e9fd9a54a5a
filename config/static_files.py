"""Files of the pages themselves, as WhiteNoise knows them, each answered whole."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware


class StaticFiles(WhiteNoiseMiddleware):
    """WhiteNoise that reads a file when it is asked for: the largest has half a megabyte.

    WhiteNoise's own answer is a plain iterator, which Django collects whole under ASGI and warns
    of, with the length that the file had at the start: one that an update changed meanwhile broke
    off in the middle.
    """

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponse:
        """Answer with what the file holds now."""
        found = static_file.get_response(request.method, request.META)
        answer = HttpResponse(status=int(found.status))
        del answer["Content-Type"]  # Django's own: a cache would note it of a file not modified
        for name, value in found.headers:
            answer[name] = value
        if found.file:
            with found.file as file:
                answer.content = file.read()
            answer["Content-Length"] = str(len(answer.content))
        return answer
