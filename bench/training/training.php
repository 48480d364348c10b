<?php
// What php-fpm answers while the build is trained.
header('Content-Type: text/plain');
echo str_repeat("0123456789abcde\n", 64), strlen(file_get_contents('php://input'));
