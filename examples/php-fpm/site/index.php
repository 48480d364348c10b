<?php
// What the example's test asks for: that parameters and bodies come through.
header('content-type: text/plain');
echo $_SERVER['REQUEST_METHOD'], ' ', $_SERVER['REQUEST_URI'], "\n";
echo 'environment ', $_SERVER['APP_ENV'], "\n";
echo 'received ', strlen(file_get_contents('php://input')), " bytes\n";
