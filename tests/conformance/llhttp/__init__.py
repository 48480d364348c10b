"""llhttp's samples of requests and answers, and what we make of each."""
