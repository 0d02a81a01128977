"""FastAPI, as its tutorial has it; run by uvicorn. A refusal is a bare challenge with a detail."""

import os
from contextlib import asynccontextmanager
from typing import Annotated

import tokens
import worker
from fastapi import Depends, FastAPI, HTTPException, Request, status
from fastapi.security import OAuth2PasswordBearer
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel


@asynccontextmanager
async def lifespan(app: FastAPI):
    worker.is_up()
    yield


app = FastAPI(lifespan=lifespan)
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="auth/login")
Token = Annotated[str, Depends(oauth2_scheme)]


class Credentials(BaseModel):
    username: str
    password: str


async def get_current_user(token: Token):
    username = tokens.name_of(token)
    if username is None:
        raise HTTPException(
            status_code=status.HTTP_401_UNAUTHORIZED,
            detail="Could not validate credentials",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return {"username": username}


@app.post("/auth/login")
async def login(credentials: Credentials):
    return {"access_token": tokens.issue(credentials.username), "token_type": "bearer"}


@app.get("/auth/me")
async def me(user: Annotated[dict, Depends(get_current_user)]):
    return user


@app.post("/auth/logout", status_code=204)
async def logout(token: Token):
    tokens.revoke(token)


@app.get("/api/health")
async def health():
    return worker.health()


@app.middleware("http")
async def say_who_answered(request: Request, call_next):
    response = await call_next(request)
    response.headers["X-Worker"] = worker.PID
    return response


app.mount("/session-keeper", StaticFiles(directory=os.environ["PACKAGE"]))
app.mount("/", StaticFiles(directory=os.environ["PAGES"]))
